import type { FastifyInstance } from 'fastify'
import { change } from '../../chat/chat.ts'
import { beginSession } from '../../chat/sessions.ts'
import { check, forms } from './forms.ts'
import { idOf } from './ids.ts'
import type { Priyo } from './priyo.ts'
import { Refusal } from './refusals.ts'
import { widgetHistoryLine, widgetLine, widgetSent } from './translate.ts'
import { conversationOf, emailOf, findVisitor, meetVisitor, widgetPage, writeAsVisitor } from './visitors.ts'
import { callerOf } from './who.ts'

/** For visitors of a page, who have no account: whoever knows the visitorId is the visitor. */
export function widgetRoutes(app: FastifyInstance, priyo: Priyo): void {
  const { chat, tokens } = priyo
  const config = { priyo: { visitors: true } }

  app.post('/api/widget/auth', { config }, async (request) => {
    const { visitorId, ...given } = check(forms.widgetAuth, request.body) as Record<string, string>
    const { person, actor } = await meetVisitor(priyo, callerOf(request), String(visitorId), given)
    const claims = await change(chat, ({ db }) => beginSession(db, person, { inboxId: actor.visitorInboxId }))
    const email = person.email ?? emailOf(String(visitorId))
    const token = await tokens.sign('widget', { ...person, email }, claims, { isWidget: true, visitorId })
    const user = { id: idOf(person.id), email, username: person.name, role: 'CUSTOMER', visitorId }
    return { success: true, token, user }
  })

  app.post('/api/widget/conversation', { config }, async (request) => {
    const visitorId = String(check(forms.widgetConversation, request.body).visitorId)
    const visitor = await meetVisitor(priyo, callerOf(request), visitorId)
    const id = priyo.widgetNames.nameOf(await conversationOf(priyo, visitor))
    const { messages } = await widgetPage(priyo, visitor.actor, id)
    const faceOf = await priyo.faces.of(messages.map((message) => message.senderId))
    return {
      success: true,
      conversation: {
        id,
        title: `Widget Chat - ${visitorId}`,
        messages: messages.map((message) => widgetLine(message, faceOf(message.senderId), visitor.person.id)),
      },
    }
  })

  app.post('/api/widget/message', { config }, async (request) => {
    const { message, conversationId, visitorId } = check(forms.widgetMessage, request.body)
    const visitor = await findVisitor(priyo, callerOf(request), String(visitorId))
    if (!visitor) throw unknownVisitor()
    const written = await writeAsVisitor(priyo, visitor.actor, conversationId, String(message))
    return { success: true, message: widgetSent(written) }
  })

  app.get('/api/widget/conversation/:id/messages', { config }, async (request) => {
    const asked = (request.query as { visitorId?: unknown }).visitorId
    const { visitorId } = check(forms.widgetHistory, { visitorId: asked })
    const visitor = await findVisitor(priyo, callerOf(request), String(visitorId))
    if (!visitor) throw unknownVisitor()
    const { messages } = await widgetPage(priyo, visitor.actor, (request.params as { id: string }).id)
    const faceOf = await priyo.faces.of(messages.map((message) => message.senderId))
    return {
      success: true,
      messages: messages.map((message) =>
        widgetHistoryLine(message, faceOf(message.senderId), visitor.person.id),
      ),
    }
  })
}

const unknownVisitor = () => new Refusal(400, 'Unknown visitor. Start a conversation first.')
