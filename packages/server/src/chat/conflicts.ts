import { Failure } from './failure.ts'

/** Unique indexes that a caller can run into, and the field that did. */
const fields: Record<string, string> = {
  person_email: 'email',
  person_username: 'username',
  workspace_slug_key: 'slug',
}

/** Turns a unique index's refusal into `already_exists` with the field; everything else stays a fault. */
export async function refusingDuplicates<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const { code, constraint } = error as { code?: unknown; constraint?: unknown }
    const field = code === '23505' && typeof constraint === 'string' ? fields[constraint] : undefined
    throw field ? new Failure('already_exists', { field }, { cause: error }) : error
  }
}
