import type { TProperties, TSchema } from 'typebox'
import { closeCodes, errors } from './errors.ts'
import { Beat, Hello } from './events.ts'
import { limits } from './limits.ts'
import { controlFrames, frameType, liveEvents, logEvents, nameOf } from './named-schemas.ts'
import { connectionCommands, operationNames, operationOf } from './operations/index.ts'

/** The reference of the realtime transports, in Markdown, derived from the same tables as everything else. */
export function reference(): string {
  return [
    '# Commands, events and errors',
    'Made from `packages/protocol/src` by `bin/document`; change it there. The rules behind these tables are in [SPEC.md](../../packages/protocol/SPEC.md), the REST operations with all their schemas in [openapi.json](openapi.json). Names with a capital letter are schemas of that document. `?` marks what may be left out, `or null` what is always said.',
    '## First frame and heartbeat',
    'What a client sends besides commands. `hello` comes first.',
    table(
      ['frame', 'fields'],
      [Hello, Beat].map((frame) => [code(frameType(frame)), fieldsOf(frame)]),
    ),
    '## Commands',
    'A frame `{ "type": <command>, "id": <number>, … }` with the fields given here; the answer is a `reply` with the same `id`. The same commands are operations of the REST API, where that column names a path below `/api/v1`. Who: the lowest role that may, and `user` is anybody with a token.',
    table(['command', 'REST', 'who', 'fields', 'answer', 'errors of its own', 'meaning'], commandRows()),
    'These make sense on a live connection only:',
    table(['command', 'fields', 'errors of its own', 'meaning'], connectionRows()),
    '## Events of the log',
    'They carry a `seq`, are stored before anybody hears them, and come back on resume. Each sets `lastSeq` of its conversation to `seq` and `updatedAt` to `at`; what else it changes is said beside it.',
    table(['event', 'meaning', 'fields'], logEvents.map(frameRow)),
    '## Live events',
    'They merge whatever the order of arrival, or are weather that nobody stores.',
    table(['event', 'meaning', 'fields'], liveEvents.map(frameRow)),
    '## Control frames',
    'About the connection itself. All other frames count as events in `sent` and `received`, those that a client does not know included.',
    table(['frame', 'meaning', 'fields'], controlFrames.map(frameRow)),
    '## Errors',
    'As `ErrorDetail`: `code`, `message`, `retry`, and what else there is to say. `retry`: the same request may succeed later without a change.',
    table(
      ['code', 'status', 'retry', 'message'],
      Object.entries(errors).map(([name, { status, retry, message }]) => [
        code(name),
        String(status),
        yesNo(retry),
        message,
      ]),
    ),
    '## Close codes',
    'Of the WebSocket. 4000 to 4099: reconnect with back-off. 4100 to 4199: do not, with the same credentials or protocol.',
    table(
      ['code', 'name', 'reconnect', 'meaning'],
      Object.entries(closeCodes).map(([name, { code: number, reconnect, meaning }]) => [
        String(number),
        code(name),
        yesNo(reconnect),
        meaning,
      ]),
    ),
    '## Limits',
    'As `GET /api/v1/limits` tells them. A server may be set to other values.',
    table(
      ['limit', 'value'],
      Object.entries(limits).map(([name, value]) => [code(name), String(value)]),
    ),
  ]
    .join('\n\n')
    .concat('\n')
}

function commandRows(): string[][] {
  return operationNames
    .map((name) => ({ name, ...operationOf(name) }))
    .filter(({ realtime }) => realtime)
    .map(({ name, method, path, access, params, query, body, result, errors: own, summary }) => [
      code(name),
      code(`${method} ${path}`),
      access,
      propertiesOf({ ...params, ...query, ...body }),
      result ? typeText(result) : '',
      own.map(code).join(', '),
      summary,
    ])
}

function connectionRows(): string[][] {
  return Object.entries(connectionCommands).map(([name, { input, errors: own, summary }]) => [
    code(name),
    fieldsOf(input),
    own.map(code).join(', '),
    summary,
  ])
}

function frameRow(frame: TSchema): string[] {
  const { type } = (frame as Described).properties ?? {}
  return [code(frameType(frame)), type?.description ?? '', fieldsOf(frame)]
}

type Described = {
  type?: string
  description?: string
  const?: unknown
  enum?: unknown[]
  anyOf?: Described[]
  items?: Described | Described[]
  properties?: Record<string, Described>
  patternProperties?: Record<string, Described>
  required?: string[]
}

/** The fields of a frame, without the `type` by which it is known. */
function fieldsOf(frame: TSchema): string {
  const { properties = {}, required = [] } = frame as Described
  return fieldList(
    Object.entries(properties).filter(([name]) => name !== 'type'),
    required,
  )
}

function propertiesOf(properties: TProperties): string {
  const required = Object.keys(properties).filter((name) => !('~optional' in (properties[name] ?? {})))
  return fieldList(Object.entries(properties as Record<string, Described>), required)
}

function fieldList(fields: [string, Described][], required: string[]): string {
  return fields
    .map(([name, field]) => {
      const note = field.description && !nameOf(field) ? `: ${field.description}` : ''
      return `${code(name)}${required.includes(name) ? '' : '?'} ${typeText(field)}${note}`
    })
    .join('<br>')
}

function typeText(schema: unknown): string {
  const name = nameOf(schema)
  if (name) return name
  const {
    type,
    const: literal,
    enum: values,
    anyOf,
    items,
    properties,
    patternProperties,
    required = [],
  } = schema as Described
  if (literal !== undefined) return code(String(literal))
  if (values) return values.map((value) => code(String(value))).join(' or ')
  if (anyOf) return anyOf.map(typeText).join(' or ')
  if (Array.isArray(items)) return `[${items.map(typeText).join(', ')}]`
  if (items) return `list of ${typeText(items)}`
  if (properties) {
    const fields = Object.entries(properties)
    return `{ ${fields.map(([field, value]) => `${field}${required.includes(field) ? '' : '?'} ${typeText(value)}`).join(', ')} }`
  }
  if (patternProperties) return `object of ${Object.values(patternProperties).map(typeText).join(' or ')}`
  return type ?? 'anything'
}

const code = (text: string) => `\`${text}\``
const yesNo = (value: boolean) => (value ? 'yes' : 'no')

function table(head: string[], rows: string[][]): string {
  const lines = [head, head.map(() => '---'), ...rows]
  return lines.map((cells) => `| ${cells.map(cell).join(' | ')} |`).join('\n')
}

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ')
