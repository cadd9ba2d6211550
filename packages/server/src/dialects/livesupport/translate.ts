import type { ConversationStatus, Message, Role } from '@parley/protocol'
import type { Case } from '../../chat/cases.ts'
import type { TeamCount, TeamMember } from '../../chat/teams.ts'
import type { Line } from '../../chat/transcripts.ts'
import type { PersonRow } from '../../chat/user-view.ts'

export const wireRoles = ['admin', 'supervisor', 'agent', 'candidate'] as const
export type WireRole = (typeof wireRoles)[number]
export type WireStatus = 'open' | 'assigned' | 'closed'

/** Names of people and conversations as this dialect's clients know them, by our ids. */
export type Names = ReadonlyMap<string, string>

export function toRole(role: Role): WireRole {
  switch (role) {
    case 'owner':
    case 'admin':
      return 'admin'
    case 'supervisor':
      return 'supervisor'
    case 'agent':
    case 'bot':
      return 'agent'
    case 'contact':
      return 'candidate'
  }
}

export function fromRole(role: string): 'admin' | 'supervisor' | 'agent' | 'contact' | undefined {
  const known = wireRoles.find((one) => one === role)
  return known === 'candidate' ? 'contact' : known
}

/** A conversation that waits is where it was; where nobody is ever assigned, whoever answers has it. */
export function toStatus({
  kind,
  status,
  assigneeId,
  agentIds,
}: Pick<Case, 'kind' | 'status' | 'assigneeId' | 'agentIds'>): WireStatus {
  if (isOver(status)) return 'closed'
  if (kind !== 'support') return agentIds.length > 0 ? 'assigned' : 'open'
  if (status === 'snoozed') return assigneeId ? 'assigned' : 'open'
  return status === 'assigned' ? 'assigned' : 'open'
}

export const isOver = (status: ConversationStatus) => status === 'closed' || status === 'archived'

/** Whom the dialect shows of those who lead, answer and ask. */
export const leaderOf = (found: Case) => found.supervisorIds[0] ?? null
export const candidateOf = (found: Case) => found.contactIds[0] ?? null
export const agentOf = (found: Case) =>
  found.kind === 'support' ? found.assigneeId : (found.agentIds[0] ?? null)

export const peopleOf = (found: Case) =>
  [leaderOf(found), candidateOf(found), agentOf(found)].filter((id) => id !== null)

export function toConversation(found: Case, people: Names, name: string) {
  return {
    _id: name,
    status: toStatus(found),
    agentId: named(people, agentOf(found)),
    supervisorId: named(people, leaderOf(found)),
    candidateId: named(people, candidateOf(found)),
  }
}

export const toLine = (line: Line, people: Names) => ({
  senderId: named(people, line.senderId),
  senderRole: toSender(line.senderRole),
  content: contentOf(line.body, line.files),
  createdAt: line.createdAt,
})

export const toNewMessage = (message: Message, conversationId: string, senderId: string | null) => ({
  conversationId,
  senderId,
  senderRole: toSender(message.senderRole),
  content: contentOf(
    message.body,
    message.attachments.map((file) => file.name),
  ),
  createdAt: message.createdAt,
})

const toSender = (role: Message['senderRole']) => (role === 'contact' ? 'candidate' : 'agent')

/** Files come from other doors only; here they are mentioned. */
function contentOf(body: string, files: readonly string[]): string {
  if (files.length === 0) return body
  return [...(body ? [body] : []), ...files.map((file) => `[${file}]`)].join(' ')
}

export const toUser = (person: Pick<PersonRow, 'name' | 'email' | 'role'>, name: string) => ({
  _id: name,
  name: person.name,
  email: person.email,
  role: toRole(person.role),
})

export const toAgent = (member: TeamMember, people: Names) => ({
  _id: named(people, member.userId),
  name: member.name,
  email: member.email,
  supervisorId: named(people, member.supervisorId),
})

export const toCount = (count: TeamCount, people: Names) => ({
  supervisorId: named(people, count.supervisorId),
  supervisorName: count.name,
  agents: count.agents,
  conversationsHandled: count.handled,
})

export const named = (names: Names, id: string | null) => (id === null ? null : (names.get(id) ?? null))

/** A text field of a body or frame. What is no text counts as missing, and so does nothing but blanks. */
export function textIn(holder: unknown, field: string): string | undefined {
  const value = fieldOf(holder, field)
  return typeof value === 'string' && value.trim() !== '' ? value : undefined
}

export function fieldOf(holder: unknown, field: string): unknown {
  if (typeof holder !== 'object' || holder === null || !Object.hasOwn(holder, field)) return undefined
  return (holder as Record<string, unknown>)[field]
}

/** A name as it is kept; undefined where it has not the form of one. */
export const readName = (text: string) => (/^[0-9a-f]{24}$/i.test(text) ? text.toLowerCase() : undefined)

const secondsIn = { s: 1, m: 60, h: 3_600, d: 86_400 }

/** `24h` in seconds. */
export function readLifetime(text: string): number {
  const unit = text.at(-1) as keyof typeof secondsIn
  return Number(text.slice(0, -1)) * secondsIn[unit]
}
