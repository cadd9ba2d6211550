import { type TSchema, Type } from 'typebox'
import { limits } from './limits.ts'

/** A UUID in lower case, as the server makes them (version 7, RFC 9562). */
export const Id = Type.String({ pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' })
/** An instant in UTC with milliseconds, RFC 3339. Years 1 to 9999. */
export const Instant = Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d{1,6})?Z$' })
/** A position in one conversation's log. 0 stands before the first entry. */
export const Seq = Type.Integer({ minimum: 0, maximum: 2_147_483_647 })
/** Opaque to everybody but the server that issued it. */
export const Cursor = Type.String({ minLength: 1, maxLength: 200 })
/** The sender's own name for a message, unique in (conversation, sender). */
export const ClientMessageId = Type.String({ minLength: 1, maxLength: limits.clientMessageIdLength })
export const Name = Type.String({ minLength: 1, maxLength: limits.nameLength, pattern: '\\S' })
export const Email = Type.String({
  minLength: 3,
  maxLength: limits.emailLength,
  pattern: '^[^\\s@\\x00-\\x1f]+@[^\\s@\\x00-\\x1f]+\\.[^\\s@\\x00-\\x1f]+$',
})
export const Password = Type.String({
  minLength: limits.passwordMinLength,
  maxLength: limits.passwordLength,
})
export const Token = Type.String({ minLength: 1, maxLength: 8192 })
export const Metadata = Type.Record(Type.String(), Type.Unknown(), {
  description: `Free JSON object, at most ${limits.metadataBytes} bytes when written out.`,
})
export const Origin = Type.String({ pattern: '^https?://[^/\\s]+$', maxLength: 300 })

/** `null` is said, never left out, where a value may be missing. */
export const Nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])
