import { randomBytes } from 'node:crypto'
import type { Db } from '../store/store.ts'

const key = 'token_secret'

/** Makes the secret that all nodes on one store sign with, unless it is there. Called at the start. */
export async function ensureTokenSecret(db: Db): Promise<void> {
  await db
    .insertInto('server_meta')
    .values({ key, value: randomBytes(32).toString('base64url') })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

/** That secret, 32 bytes, as the text that is kept. */
export async function tokenSecret(db: Db): Promise<string> {
  const { value } = await db
    .selectFrom('server_meta')
    .select('value')
    .where('key', '=', key)
    .executeTakeFirstOrThrow()
  return value
}
