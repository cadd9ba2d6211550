import type { FastifyInstance } from 'fastify'
import { countByTeam, listSupervisors, listTeamMembers } from '../../chat/teams.ts'
import type { Door } from '../door.ts'
import { accountRoutes } from './account-routes.ts'
import { conversationRoutes } from './conversation-routes.ts'
import { frameRoutes } from './frame.ts'
import { namesOf } from './names.ts'
import { named, toAgent, toCount, toRole } from './translate.ts'
import { whoAsks } from './who.ts'

export async function routes(app: FastifyInstance, door: Door): Promise<void> {
  await frameRoutes(app, door)
  accountRoutes(app, door)
  conversationRoutes(app, door)
  peopleRoutes(app, door)
  app.get('/health', async () => ({ status: 'ok', timestamp: new Date().toISOString() }))
}

/** Who leads, who answers, and how much they did. */
function peopleRoutes(app: FastifyInstance, door: Door): void {
  const { chat, mount } = door

  app.get('/admin/analytics', async (request) => {
    await whoAsks(door, request, 'admin')
    const counts = await countByTeam(chat, mount.workspaceId)
    const people = await namesOf(
      door,
      'person',
      counts.map((count) => count.supervisorId),
    )
    return { success: true, data: counts.map((count) => toCount(count, people)) }
  })

  app.get('/supervisors', async (request) => {
    await whoAsks(door, request)
    const supervisors = await listSupervisors(chat, mount.workspaceId)
    const people = await namesOf(
      door,
      'person',
      supervisors.map((one) => one.userId),
    )
    return {
      success: true,
      data: supervisors.map((one) => ({ _id: named(people, one.userId), name: one.name })),
    }
  })

  app.get('/agents', async (request) => {
    const actor = await whoAsks(door, request, 'admin', 'supervisor')
    const supervisorId = toRole(actor.role) === 'supervisor' ? actor.userId : null
    const agents = await listTeamMembers(chat, mount.workspaceId, { supervisorId })
    const ids = agents.flatMap(({ userId, supervisorId }) => [
      userId,
      ...(supervisorId ? [supervisorId] : []),
    ])
    const people = await namesOf(door, 'person', ids)
    return { success: true, data: agents.map((agent) => toAgent(agent, people)) }
  })
}
