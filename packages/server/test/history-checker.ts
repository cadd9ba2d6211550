import type { Deliver, Final, FinalEntry, Invariant, Line, Receipt, Send, Verdict, Violation } from './history.ts'

/** How long a push may still come after the right to hear it has gone (promise G20). */
const revokedWithinMs = 2_000
const shownPerInvariant = 5

/**
 * Judges a history by promises §3. Ids are unique and numbers dense, so one pass fills maps by key, by position and by
 * reader, and a second pass over those maps decides. Unknown: nothing was acknowledged, nothing was read at the end, or
 * a fault left no evidence.
 */
export function check(lines: readonly Line[], seed: number): Verdict {
  const conversations = new Map<string, Talk>()
  const counts: Record<string, number> = { lines: lines.length, acknowledged: 0, messages: 0, faults: 0 }
  const violations: Violation[] = []
  const violate: Violate = (invariant, conversation, line, says) =>
    violations.push({ invariant, conversation, i: line?.i ?? -1, says })
  let evident = true

  for (const line of lines) {
    const kind = `${line.f} ${line.type}`
    counts[kind] = (counts[kind] ?? 0) + 1
    if (line.f === 'fault') {
      counts.faults = (counts.faults ?? 0) + 1
      evident &&= line.evidence !== null
      continue
    }
    const talk = conversations.get(line.conversation) ?? newTalk(line.conversation)
    conversations.set(line.conversation, talk)
    if (line.f === 'send') takeSend(talk, line)
    else if (line.f === 'receipt') takeReceipt(talk, line, violate)
    else if (line.f === 'read') takeRead(talk, line, violate)
    else if (line.f === 'final') talk.finals.push(line)
    else talk.readers.set(line.process, [...takeFrom(talk.readers, line.process), line])
  }

  for (const talk of conversations.values()) {
    const log = logOf(talk)
    counts.acknowledged = (counts.acknowledged ?? 0) + [...talk.sends.values()].filter((s) => s.acks.length).length
    counts.messages = (counts.messages ?? 0) + [...log.values()].filter((entry) => entry.message).length
    checkKeys(talk, violate)
    checkAgreement(talk, violate)
    checkDense(talk, violate)
    checkFinals(talk, violate)
    checkReaders(talk, log, violate)
    checkReceiptsAtEnd(talk, violate)
    checkRealTime(talk, log, violate)
  }
  const proven = evident && counts.acknowledged > 0 && [...conversations.values()].every((talk) => hasWholeLog(talk))
  return {
    valid: violations.length > 0 ? false : proven ? true : 'unknown',
    seed,
    counts,
    firstViolations: firstOfEach(violations),
  }
}
