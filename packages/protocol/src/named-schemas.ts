import { type TSchema, Type } from 'typebox'
import * as entities from './entities.ts'
import { type ErrorCode, errors } from './errors.ts'
import { Beat, ControlFrame, Hello, LiveEvent, LogEvent } from './events.ts'
import { Email, Id, Instant, Name, Origin, Seq } from './scalars.ts'

/** What stands in the body of every answer that is not a success, and in `error` of a reply frame (SPEC §6). */
export const ErrorDetail = Type.Object({
  code: Type.Enum(Object.keys(errors) as ErrorCode[]),
  message: Type.String({ description: 'For people. Programs go by `code`.' }),
  retry: Type.Boolean({ description: 'The same request may succeed later without a change.' }),
  field: Type.Optional(Type.String({ description: 'Which field is meant.' })),
  conversationId: Type.Optional(Id),
  retryAfter: Type.Optional(Type.Number({ description: 'Seconds; the same as the header Retry-After.' })),
  notApplied: Type.Optional(Type.Boolean({ description: 'True when it is certain that nothing changed.' })),
  limit: Type.Optional(Type.Integer({ description: 'How much is allowed of what was too much.' })),
  required: Type.Optional(entities.Role),
  assigneeId: Type.Optional(Id),
  name: Type.Optional(Type.String({ description: 'Of the file that was refused.' })),
  mimeType: Type.Optional(Type.String({ description: 'Of the file that was refused.' })),
})
export const ErrorBody = Type.Object({ error: ErrorDetail })

/** `message.created` is `MessageCreated`. */
export const pascalCase = (name: string) =>
  name.replaceAll(/(?:^|[._])(\w)/g, (_, letter: string) => letter.toUpperCase())

/** The literal in `type`, by which a frame is known. */
export const frameType = (frame: TSchema) =>
  String((frame as { properties?: { type?: { const?: unknown } } }).properties?.type?.const)

export const logEvents: TSchema[] = LogEvent.anyOf
export const liveEvents: TSchema[] = LiveEvent.anyOf
export const controlFrames: TSchema[] = ControlFrame.anyOf

/** Schemas that have a name in the documents. Wherever one of them stands, the documents refer to it. */
export const namedSchemas: Record<string, TSchema> = {
  ...{ Id, Instant, Seq, Name, Email, Origin },
  ...Object.fromEntries(Object.entries(entities).filter(isSchema)),
  ...Object.fromEntries(
    [...logEvents, ...liveEvents, ...controlFrames].map((frame) => [pascalCase(frameType(frame)), frame]),
  ),
  ...{ LogEvent, LiveEvent, ControlFrame, Hello, Beat, ErrorDetail, ErrorBody },
}

function isSchema(entry: [string, unknown]): entry is [string, TSchema] {
  return Type.IsSchema(entry[1]) && !Array.isArray(entry[1])
}

/** By what they say, not by identity: `Type.Optional` makes copies. */
const names = new Map(Object.entries(namedSchemas).map(([name, schema]) => [JSON.stringify(schema), name]))
export const nameOf = (schema: unknown) => names.get(JSON.stringify(schema))
