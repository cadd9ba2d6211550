import { hash, verify } from '@node-rs/argon2'

/** Argon2id (the library's default) with the smallest parameters that OWASP recommends; runs off the event loop. */
const cost = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }

export const hashPassword = (password: string) => hash(password, cost)

/** Nobody's password: without a hash to compare, the same work is done, so that time does not tell who has one. */
const nobodys = hashPassword(crypto.randomUUID())

export async function checkPassword(passwordHash: string | null, password: string): Promise<boolean> {
  const isRight = await verify(passwordHash ?? (await nobodys), password)
  return passwordHash !== null && isRight
}
