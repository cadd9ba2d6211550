import type { ConversationSummary, Message } from '@parley/protocol'

/** The last thing said, in one line, with who said it unless it was the contact. */
export function lastLine({ lastMessage, participants }: ConversationSummary, me: string | null): string {
  if (!lastMessage) return 'No message yet'
  const text = contentOf(lastMessage)
  if (lastMessage.visibility === 'agents') return `Note: ${text}`
  if (lastMessage.senderRole === 'contact' || lastMessage.senderRole === 'system') return text
  if (lastMessage.senderId === me) return `You: ${text}`
  const sender = participants.find((one) => one.userId === lastMessage.senderId)
  return sender ? `${firstName(sender.name)}: ${text}` : text
}

/** A message without its form: what a reader would say when asked what it was. */
export function contentOf(message: Pick<Message, 'body' | 'retractedAt' | 'attachments' | 'kind'>): string {
  if (message.retractedAt) return 'Message retracted'
  const [file] = message.attachments
  const body = message.body.replaceAll(/\s+/g, ' ').trim()
  if (body || !file) return body
  const more = message.attachments.length - 1
  return `${file.name}${more > 0 ? ` and ${more} more` : ''}`
}

const firstName = (name: string) => name.trim().split(/\s+/)[0] ?? name
