import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Actor } from '../../chat/actor.ts'
import { type Case, findCase, listCases } from '../../chat/cases.ts'
import { change } from '../../chat/chat.ts'
import { closeConversation, handOverConversation } from '../../chat/conversation-states.ts'
import { createConversation } from '../../chat/conversations.ts'
import { Failure } from '../../chat/failure.ts'
import { findTeam, isInTeam, teamOf } from '../../chat/teams.ts'
import { readTranscript } from '../../chat/transcripts.ts'
import type { Door } from '../door.ts'
import { personOf } from './account-routes.ts'
import { idOf, nameOf, namesOf } from './names.ts'
import { refusals } from './refusals.ts'
import { isTheirs } from './standing.ts'
import { named, peopleOf, textIn, toConversation, toLine, toStatus } from './translate.ts'
import { whoAsks } from './who.ts'

type ById = { Params: { id: string } }
const perPage = 200

export function conversationRoutes(app: FastifyInstance, door: Door): void {
  app.post('/conversations', async (request, reply) => {
    const data = await open(door, request)
    return reply.code(201).send({ success: true, data })
  })

  app.get<{ Querystring: { before?: unknown } }>('/conversations', async (request) => {
    const actor = await whoAsks(door, request)
    const before = textIn(request.query, 'before')
    const after = before === undefined ? undefined : await idOf(door, 'conversation', before)
    if (after === null) throw refusals.noConversation()
    const found = await listCases(door.chat, actor, { before: after, limit: perPage })
    return { success: true, data: await view(door, found) }
  })

  app.get<ById>('/conversations/:id', async (request) => {
    const actor = await whoAsks(door, request)
    const found = await requireCase(door, request.params.id)
    if (!isTheirs(found, actor)) throw refusals.notYours()
    const lines = await readTranscript(door.chat, actor, { conversationId: found.id })
    const senders = [...new Set(lines.map((line) => line.senderId))].filter((id) => id !== null)
    const people = await namesOf(door, 'person', senders)
    const [data] = await view(door, [found])
    return { success: true, data: { ...data, messages: lines.map((line) => toLine(line, people)) } }
  })

  app.post<ById>('/conversations/:id/assign', async (request) => ({
    success: true,
    data: await assign(door, request, request.params.id),
  }))

  app.post<ById>('/conversations/:id/close', async (request) => {
    const actor = await whoAsks(door, request, 'admin', 'supervisor')
    const found = await requireCase(door, request.params.id)
    await closeWaiting(door, actor, found)
    const conversationId = await nameOf(door, 'conversation', found.id)
    return { success: true, data: { conversationId, status: 'closed' } }
  })
}

/** A candidate has one active conversation, whoever asks at the same moment: the store holds that. */
async function open(door: Door, request: FastifyRequest) {
  const { chat } = door
  const actor = await whoAsks(door, request, 'candidate')
  const name = textIn(request.body, 'supervisorId')
  if (!name) throw refusals.noSupervisorId()
  const supervisor = await personOf(door, name)
  if (!supervisor) throw refusals.noSupervisor()
  if (supervisor.role !== 'supervisor') throw refusals.notASupervisor()
  const inboxId =
    (await findTeam(chat.db, actor.workspaceId, supervisor.id)) ??
    (await change(chat, (change) => teamOf(change, supervisor)))
  const { conversation } = await createConversation(
    chat,
    actor,
    { kind: 'support', inboxId },
    { exclusiveKey: `candidate:${actor.userId}` },
  )
  return {
    _id: await nameOf(door, 'conversation', conversation.id),
    status: 'open',
    supervisorId: await nameOf(door, 'person', supervisor.id),
  }
}

async function assign(door: Door, request: FastifyRequest, id: string) {
  const { chat } = door
  const actor = await whoAsks(door, request, 'supervisor')
  const name = textIn(request.body, 'agentId')
  if (!name) throw refusals.noAgentId()
  const found = await requireCase(door, id)
  if (!isTheirs(found, actor)) throw refusals.cannotAssign()
  const agent = await personOf(door, name)
  if (!agent) throw refusals.noAgent()
  if (agent.role !== 'agent') throw refusals.notAnAgent()
  const pair = { supervisorId: actor.userId, userId: agent.id }
  if (!(await isInTeam(chat, actor.workspaceId, pair))) throw refusals.notYourAgent()
  try {
    await handOverConversation(chat, actor, { conversationId: found.id, userId: agent.id })
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    if (error.code === 'not_found') throw refusals.notYourAgent()
    if (error.code === 'wrong_state') throw refusals.assignClosed()
    throw error
  }
  const people = await namesOf(door, 'person', [agent.id, actor.userId])
  return {
    conversationId: await nameOf(door, 'conversation', found.id),
    agentId: named(people, agent.id),
    supervisorId: named(people, actor.userId),
  }
}

/** Only what no agent has come to yet. One that changes at this moment is looked at again. */
async function closeWaiting(door: Door, actor: Actor, found: Case): Promise<void> {
  if (!isTheirs(found, actor)) throw refusals.notYoursToClose()
  const status = toStatus(found)
  if (status !== 'open') throw refusals.cannotClose(status)
  try {
    await closeConversation(
      door.chat,
      actor,
      { conversationId: found.id },
      { onlyIf: (row) => row.status === found.status },
    )
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'wrong_state') throw error
    throw refusals.cannotClose(
      toStatus(await requireCase(door, await nameOf(door, 'conversation', found.id))),
    )
  }
}

async function requireCase(door: Door, name: string): Promise<Case> {
  const id = await idOf(door, 'conversation', name)
  const found = id && (await findCase(door.chat, door.mount.workspaceId, id))
  if (!found) throw refusals.noConversation()
  return found
}

async function view(door: Door, found: readonly Case[]) {
  const [people, conversations] = await Promise.all([
    namesOf(door, 'person', found.flatMap(peopleOf)),
    namesOf(
      door,
      'conversation',
      found.map((one) => one.id),
    ),
  ])
  return found.map((one) => toConversation(one, people, conversations.get(one.id) ?? ''))
}
