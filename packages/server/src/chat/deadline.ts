import { Failure } from './failure.ts'

/**
 * Waits no longer than this for an answer that only reads. A stopped backend ignores its own timeouts, and the
 * network may swallow the question (promise G12); whoever asks is told that nothing was applied.
 */
export async function within<T>(ms: number, answer: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Failure('unavailable', { notApplied: true, retryAfter: 1 })), ms)
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
    answer.catch(() => {})
  }
}
