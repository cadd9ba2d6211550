import { createHmac, timingSafeEqual } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { isAdmin } from '../../chat/actor.ts'
import { Failure } from '../../chat/failure.ts'
import type { Granter } from '../../chat/grants.ts'
import { identify } from '../../chat/identities.ts'
import { authenticate } from '../../chat/sessions.ts'
import { readBookings } from './bookings.ts'
import { bearerOf } from './entrance.ts'
import { Refusal, texts } from './refusals.ts'
import type { TutorGo } from './tutorgo.ts'

/** Where the service that keeps bookings tells of them: by a key or token of an admin, or by a signature. */
export function bookingRoutes(app: FastifyInstance, tutorgo: TutorGo): void {
  app.post('/chat/bookings', { config: { tutorgoFault: 'Failed to update bookings' } }, async (request) => {
    const granter = await granterOf(tutorgo, request)
    const { value } = (request.body ?? {}) as { value?: unknown }
    const bookings = readBookings(value)
    await tutorgo.bookings.follow(granter, bookings)
    return { success: true, message: 'Bookings updated', data: { updated: bookings.length } }
  })
}

async function granterOf(tutorgo: TutorGo, request: FastifyRequest): Promise<Granter> {
  const { workspaceId } = tutorgo
  if (isSigned(tutorgo, request)) return { workspaceId, userId: null, address: request.ip }
  const token = bearerOf(request.headers.authorization)
  if (token === null) throw new Refusal(401, texts.noToken)
  const actor = await adminOf(tutorgo, token, request)
  if (!isAdmin(actor) || actor.workspaceId !== workspaceId) throw new Refusal(403, texts.notYours)
  return actor
}

/** A token of the platform whose role the workspace takes for an admin's; or one of ours, or an API key. */
async function adminOf({ chat, workspaceId }: TutorGo, token: string, request: FastifyRequest) {
  try {
    return await identify(chat, workspaceId, token, { address: request.ip })
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'unauthenticated') throw error
    return authenticate(chat, token, { address: request.ip, origin: request.headers.origin ?? null })
  }
}

/** `X-Signature: sha256=<hex>` over the bytes of the body. A signature that is there must be right. */
function isSigned({ door }: TutorGo, { headers, body }: FastifyRequest): boolean {
  const secret = door.mount.options.bookingsSecret
  const given = headers['x-signature']
  if (secret === undefined || given === undefined) return false
  const { bytes } = (body ?? {}) as { bytes?: Buffer }
  const right = `sha256=${createHmac('sha256', secret)
    .update(bytes ?? '')
    .digest('hex')}`
  const isRight =
    typeof given === 'string' &&
    given.length === right.length &&
    timingSafeEqual(Buffer.from(given), Buffer.from(right))
  if (!isRight) throw new Refusal(403, texts.badToken)
  return true
}
