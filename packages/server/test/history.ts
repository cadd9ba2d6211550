import type {
  Access,
  Deliver,
  Final,
  FinalEntry,
  FinalMessage,
  Line,
  Read,
  Receipt,
  Resume,
  Send,
} from './history-lines.ts'

export type Invariant = 'H1' | 'H2' | 'H3' | 'H4' | 'H5' | 'H6' | 'H7' | 'H8' | 'H9' | 'H10' | 'H11'
export type Violation = { invariant: Invariant; conversation: string; says: string }
export type Verdict = {
  valid: true | false | 'unknown'
  seed: number
  counts: Record<string, number>
  /** The first few of each invariant. */
  firstViolations: Violation[]
}

/** How long a push may still come after the right to hear it has gone (promise G20). */
const revokedWithinMs = 2_000
const shownOfEach = 3

/**
 * Judges a history by the invariants H1 to H11. Ids are unique and numbers dense, so one pass over the lines fills maps
 * by key, by number and by reader, and walking those maps decides. The verdict is unknown if nothing was acknowledged, if a
 * conversation was not read whole at the end, or if a fault left no evidence.
 */
export function check(lines: readonly Line[], seed: number): Verdict {
  const talks = new Map<string, Talk>()
  const counts: Record<string, number> = {}
  const violations: Violation[] = []
  let isEvident = true
  for (const line of lines) {
    const kind = `${line.f} ${line.type}`
    counts[kind] = (counts[kind] ?? 0) + 1
    if (line.f === 'fault') isEvident &&= line.evidence !== null
    else take(at(talks, line.conversation, newTalk), line, violatesIn(violations, line.conversation))
  }
  for (const [id, talk] of talks) judge(talk, violatesIn(violations, id))

  const all = [...talks.values()]
  const acknowledged = all.reduce((sum, talk) => sum + talk.acks.size, 0)
  const messages = all.reduce((sum, talk) => sum + [...talk.log.values()].filter(isMessage).length, 0)
  const isProven = isEvident && acknowledged > 0 && all.every((talk) => talk.log.size > 0)
  return {
    valid: violations.length > 0 ? false : isProven || 'unknown',
    seed,
    counts: { ...counts, conversations: talks.size, acknowledged, messages },
    firstViolations: [...Map.groupBy(violations, (one) => one.invariant).values()].flatMap((ofOne) =>
      ofOne.slice(0, shownOfEach),
    ),
  }
}

/** What is known of one conversation. A key stands for its sender too. */
type Talk = {
  acks: Map<string, Acknowledged>
  topAcknowledged: number
  /** By key and content: when it began and ended, and how many attempts were not refused. */
  attempts: Map<string, { began: number; ended: number; open: number }>
  /** By number: what the first who saw it saw. */
  seen: Map<number, { id: string | null; hash: string | null }>
  readers: Map<string, Stamped<Deliver | Resume | Access>[]>
  reading: Map<string, number>
  marks: Map<string, Receipt>
  marksSeen: Map<string, Receipt>
  finals: Stamped<Final>[]
  /** The whole log, from those who read it whole, and its last number. */
  log: Map<number, FinalEntry>
  end: number
}
type Stamped<F> = Extract<Line, { f: F extends { f: infer Name } ? Name : never }>
type Acknowledged = Extract<Stamped<Send>, { type: 'ok' }>
type Violates = (invariant: Invariant, says: string) => void

function newTalk(): Talk {
  return {
    acks: new Map(),
    topAcknowledged: 0,
    attempts: new Map(),
    seen: new Map(),
    readers: new Map(),
    reading: new Map(),
    marks: new Map(),
    marksSeen: new Map(),
    finals: [],
    log: new Map(),
    end: 0,
  }
}

// ---- The first pass: what can be said at once is said at once.

function take(talk: Talk, line: Exclude<Line, { f: 'fault' }>, violates: Violates): void {
  switch (line.f) {
    case 'send':
      return takeSend(talk, line, violates)
    case 'deliver':
      see(talk, line.seq, line.id, line.hash, `${line.process} was told`, violates)
      at(talk.readers, line.process, () => []).push(line)
      return
    case 'resume':
    case 'access':
      at(talk.readers, line.process, () => []).push(line)
      return
    case 'receipt':
      return takeReceipt(talk, line, violates)
    case 'read':
      return takeRead(talk, line, violates)
    case 'final':
      return takeFinal(talk, line, violates)
  }
}

function takeSend(talk: Talk, line: Stamped<Send>, violates: Violates): void {
  const attempt = at(talk.attempts, attemptOf(line), () => ({ began: line.i, ended: Infinity, open: 0 }))
  if (line.type === 'invoke') attempt.open++
  if (line.type === 'fail') attempt.open--
  if (line.type !== 'ok') return
  attempt.ended = Math.min(attempt.ended, line.i)
  talk.topAcknowledged = Math.max(talk.topAcknowledged, line.seq)
  see(talk, line.seq, line.id, line.hash, `${line.sender} was acknowledged`, violates)
  const first = at(talk.acks, keyOf(line), () => line)
  if (first.id !== line.id || first.seq !== line.seq || first.hash !== line.hash) {
    violates('H3', `${line.key} was acknowledged as ${first.seq} ${first.id}, then as ${line.seq} ${line.id}`)
  }
}

/** H4: One id and content per number, whoever looks. */
function see(
  { seen }: Talk,
  seq: number,
  id: string | null,
  hash: string | null,
  who: string,
  violates: Violates,
): void {
  const first = at(seen, seq, () => ({ id, hash }))
  if (first.id === id && first.hash === hash) return
  violates('H4', `${who} ${id} (${hash}) at ${seq}, where another saw ${first.id} (${first.hash})`)
}

function takeReceipt(talk: Talk, line: Stamped<Receipt>, violates: Violates): void {
  const { process, participant, delivered, read } = line
  const key = `${process} ${participant}`
  const before = talk.marks.get(key)
  if (before && (delivered < before.delivered || read < before.read)) {
    violates('H8', `${process} saw the marks of ${participant} go back to ${delivered}, ${read}`)
  }
  talk.marks.set(key, line)
  const top = talk.marksSeen.get(participant)
  talk.marksSeen.set(participant, {
    ...line,
    delivered: Math.max(delivered, top?.delivered ?? 0),
    read: Math.max(read, top?.read ?? 0),
  })
  if (read > delivered) violates('H8', `${participant} has read ${read}, but only ${delivered} was delivered`)
}

/** H11: A read that begins after an acknowledgement contains what was acknowledged. */
function takeRead(talk: Talk, line: Stamped<Read>, violates: Violates): void {
  if (line.type === 'invoke') {
    talk.reading.set(line.process, talk.topAcknowledged)
    return
  }
  const floor = talk.reading.get(line.process) ?? 0
  if (line.lastSeq < floor) {
    violates('H11', `${line.process} read up to ${line.lastSeq} after ${floor} was acknowledged`)
  }
}

function takeFinal(talk: Talk, final: Stamped<Final>, violates: Violates): void {
  talk.finals.push(final)
  let last = 0
  for (const entry of final.entries) {
    if (entry.seq <= last) violates('H5', `${final.process} read ${entry.seq} after ${last}`)
    last = entry.seq
    if (entry.message || final.of === 'log') {
      const { id = null, hash = null } = entry.message ?? {}
      see(talk, entry.seq, id, hash, `${final.process} read`, violates)
    }
    if (final.of === 'log' && final.sees === 'agents') {
      talk.log.set(entry.seq, entry)
      talk.end = Math.max(talk.end, entry.seq)
    }
  }
}

// ---- The second pass: what needs the whole.

function judge(talk: Talk, violates: Violates): void {
  checkKeys(talk, violates)
  checkDense(talk, violates)
  for (const final of talk.finals) checkFinal(talk, final, violates)
  for (const [process, lines] of talk.readers) checkReader(talk, process, lines, violates)
  checkMarks(talk, violates)
  checkRealTime(talk, violates)
}

/** H2: One row per key. H10: Every row has a send that was not refused. */
function checkKeys({ log, attempts }: Talk, violates: Violates): void {
  const rows = new Map<string, number>()
  for (const { seq, message } of log.values()) {
    if (!message) continue
    const other = at(rows, keyOf(message), () => seq)
    if (other !== seq) violates('H2', `${message.key} stands at ${other} and at ${seq}`)
    const attempt = attempts.get(attemptOf(message))
    if (!attempt) violates('H10', `Nobody sent what stands at ${seq}: ${message.key} (${message.hash})`)
    else if (attempt.open <= 0) violates('H10', `${message.key} was refused, but stands at ${seq}`)
  }
}

/** H6: The numbers of the log are 1 to n, and all agree on n. */
function checkDense({ log, end, finals }: Talk, violates: Violates): void {
  for (let seq = 1; seq <= end; seq++)
    if (!log.has(seq)) violates('H6', `There is nothing at ${seq} of ${end}`)
  for (const { process, lastSeq } of finals) {
    if (log.size > 0 && lastSeq !== end)
      violates('H6', `${process} was told that the log ends at ${lastSeq}, not ${end}`)
  }
}

/** H1: What was acknowledged stands in every final read. Nor does any read miss, or show too much of, the log. */
function checkFinal({ acks, log }: Talk, final: Stamped<Final>, violates: Violates): void {
  const bySeq = new Map(final.entries.map((entry) => [entry.seq, entry.message]))
  for (const { seq, id, hash, key, visibility } of acks.values()) {
    if (visibility === 'agents' && final.sees === 'everyone') continue
    const found = bySeq.get(seq)
    if (found?.id !== id || found.hash !== hash) {
      violates('H1', `${final.process} does not find ${key} at ${seq}, only ${found?.id ?? 'nothing'}`)
    }
  }
  for (const entry of log.values()) {
    const isDue = isVisible(entry, final.sees) && (final.of === 'log' || entry.message)
    if (isDue && !bySeq.has(entry.seq)) violates('H6', `${final.process} does not find ${entry.seq}`)
  }
  for (const entry of final.entries) {
    if (!isVisible(entry, final.sees)) violates('H7', `${final.process} may not see ${entry.seq}`)
  }
}

/** H5: Each reader is told the next entry that it may see, once. H7: And nothing that it may not see. */
function checkReader(
  { log }: Talk,
  process: string,
  lines: Stamped<Deliver | Resume | Access>[],
  violates: Violates,
): void {
  let position: number | null = null
  let revokedAt = Infinity
  for (const line of lines) {
    if (line.f === 'access') revokedAt = line.may ? Infinity : line.t
    else if (line.f === 'resume') {
      const due: number = position === null ? Infinity : nextVisible(log, position, line.sees)
      if (log.has(due) && due <= line.after)
        violates('H5', `${process} came back at ${line.after} without ${due}`)
      position = line.type === 'ok' ? line.after : null
    } else {
      if (line.t > revokedAt + revokedWithinMs)
        violates('H7', `${process} was told ${line.seq} after its right ended`)
      const entry = log.get(line.seq)
      if (!entry && log.size > 0) violates('H10', `${process} was told ${line.seq}, which was never stored`)
      if (entry && !isVisible(entry, line.sees)) violates('H7', `${process} was told ${line.seq}, a note`)
      const next: number = position === null ? line.seq : nextVisible(log, position, line.sees)
      if (entry && line.seq !== next)
        violates('H5', `${process} at ${position} was told ${line.seq}, not ${next}`)
      position = line.seq
    }
  }
}

function nextVisible(log: Talk['log'], position: number, sees: Final['sees']): number {
  let seq = position + 1
  for (let entry = log.get(seq); entry && !isVisible(entry, sees); entry = log.get(seq)) seq++
  return seq
}

/** H8: No mark is lost, or beyond the log. */
function checkMarks({ finals, marksSeen, log, end }: Talk, violates: Violates): void {
  for (const { process, receipts } of finals) {
    for (const { participant, delivered, read } of receipts) {
      const before = marksSeen.get(participant)
      if (before && (delivered < before.delivered || read < before.read)) {
        violates(
          'H8',
          `${process} finds the marks of ${participant} at ${delivered}, ${read}: they have been further`,
        )
      }
      if (log.size > 0 && delivered > end) violates('H8', `${participant} has marks beyond the log`)
      if (read > delivered)
        violates('H8', `${participant} has read ${read}, but only ${delivered} was delivered`)
    }
  }
}

/** H9: By number: no send had ended before one with a smaller number began. */
function checkRealTime({ log, attempts }: Talk, violates: Violates): void {
  let latest = { began: -1, seq: 0 }
  for (const { seq, message } of [...log.values()].sort((a, b) => a.seq - b.seq)) {
    const attempt = message && attempts.get(attemptOf(message))
    if (!attempt) continue
    if (attempt.ended < latest.began) {
      violates('H9', `${seq} was acknowledged before ${latest.seq} was sent`)
    }
    if (attempt.began > latest.began) latest = { began: attempt.began, seq }
  }
}

// ---- Words

type Keyed = Pick<FinalMessage, 'sender' | 'key'>

const keyOf = ({ sender, key }: Keyed) => `${sender} ${key}`
const attemptOf = ({ sender, key, hash }: Keyed & { hash: string }) => `${sender} ${key} ${hash}`
const isMessage = (entry: FinalEntry) => entry.message !== null
const isVisible = (entry: FinalEntry, sees: Final['sees']) =>
  entry.visibility === 'everyone' || sees === 'agents'

const violatesIn =
  (violations: Violation[], conversation: string): Violates =>
  (invariant, says) =>
    violations.push({ invariant, conversation, says })

function at<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const found = map.get(key)
  if (found !== undefined) return found
  const made = make()
  map.set(key, made)
  return made
}
