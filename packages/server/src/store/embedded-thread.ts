import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import type { FromWorker, Task, ToWorker } from './embedded-worker.ts'

export type Thread = {
  durability: FromWorker['durability']
  /** resolves, with the reason, when the thread has ended and let go of its files */
  ended: Promise<Error>
  stop(): Promise<void>
}

/** Starts the database's thread on a task; resolves when the task is done (create) or under way (serve). */
export async function startThread(task: Task): Promise<Thread> {
  const worker = new Worker(new URL('./embedded-worker.ts', import.meta.url), {
    name: 'embedded-postgres',
    workerData: task,
  })
  const ended = end(worker)
  const { durability } = await new Promise<FromWorker>((started, failed) => {
    worker.once('message', started)
    ended.then(failed)
  })
  return { durability, ended, stop: () => stop(worker, ended) }
}

/**
 * Starts the thread, and starts it again whenever it dies: a full disk, say, makes PostgreSQL give up, and it can go on
 * once there is room. Meanwhile connecting fails. Each death is as harmless as kill -9.
 */
export async function keepServing(task: Task): Promise<Thread> {
  const first = await startThread(task)
  const stopping = new AbortController()
  let thread: Thread | undefined = first
  const kept = keepUp()
  return {
    durability: first.durability,
    ended: first.ended.then((reason) => (stopping.signal.aborted ? new Promise(() => {}) : reason)),
    async stop() {
      stopping.abort()
      await thread?.stop()
      await kept
    },
  }

  async function keepUp() {
    while (thread) {
      await thread.ended
      thread = await startAgain()
    }
  }

  async function startAgain(): Promise<Thread | undefined> {
    for (let delay = 500; !stopping.signal.aborted; delay = Math.min(2 * delay, 10_000)) {
      await sleep(delay, undefined, { signal: stopping.signal }).catch(() => {})
      if (stopping.signal.aborted) return undefined
      const next = await startThread(task).catch(() => undefined)
      if (next && stopping.signal.aborted) await next.stop()
      else if (next) return next
    }
    return undefined
  }
}

function end(worker: Worker): Promise<Error> {
  let thrown: unknown
  worker.once('error', (error) => {
    thrown = error
  })
  return new Promise((settle) => {
    worker.once('exit', (code) =>
      settle(
        new Error(`The embedded database ${thrown ? `failed: ${reason(thrown)}` : `stopped (code ${code})`}`),
      ),
    )
  })
}

function reason(error: unknown): string {
  // what a thread threw arrives as a copy, no longer of its class
  return typeof error === 'object' && error !== null && 'message' in error
    ? String(error.message)
    : String(error)
}

/** A backend that answers nothing for ten seconds is ended as kill -9 would end it, which loses nothing. */
async function stop(worker: Worker, ended: Promise<unknown>): Promise<void> {
  const impatience = setTimeout(() => void worker.terminate(), 10_000)
  worker.postMessage('close' satisfies ToWorker)
  await ended
  clearTimeout(impatience)
}
