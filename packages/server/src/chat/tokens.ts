import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

/** 256 random bits, written for URLs and headers. Whoever holds it is believed, so only its hash is kept. */
export const makeToken = () => randomBytes(32).toString('base64url')

/** What the store keeps of a token. Plain SHA-256 is enough: nobody can guess 256 random bits. */
export const hashToken = (token: string) => createHash('sha256').update(token).digest()

/** Compares without telling by time how much was right. */
export const isSameSecret = (given: string, secret: string) =>
  timingSafeEqual(hashToken(given), hashToken(secret))
