import { AddressLimit } from './address-limit.ts'
import type { Chat } from './chat.ts'
import { Failure } from './failure.ts'

const triesPerMinute = 30

/**
 * Counts a try at a password, right or wrong, before anything is compared. Every door counts here, so that one more
 * door is not thirty more tries.
 */
export function countGuess(chat: Chat, address: string | null): void {
  if (!chat.config.rateLimit) return
  const { remaining, resetSeconds } = guessesAt(chat).count(address ?? '')
  if (remaining < 0) throw new Failure('rate_limited', { retryAfter: resetSeconds })
}

const byChat = new WeakMap<Chat, AddressLimit>()

function guessesAt(chat: Chat): AddressLimit {
  const guesses = byChat.get(chat) ?? new AddressLimit(triesPerMinute, 60_000)
  byChat.set(chat, guesses)
  return guesses
}
