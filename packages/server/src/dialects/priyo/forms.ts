import { invalid } from '../../chat/failure.ts'
import { isEmail } from './email.ts'

/** Says what is wrong with a value, in the words that old clients show; nothing when it is right. */
type Rule = (value: unknown, label: string) => Complaint | undefined
type Complaint = { label: string; says: string }
type Field = { rule: Rule; required: boolean }
export type Form = Record<string, Field>

/** Refuses with the first complaint: fields in their order, then keys that nobody asked for. Without a body, `{}`. */
export function check(form: Form, body: unknown): Record<string, unknown> {
  const given = body ?? {}
  if (typeof given !== 'object' || Array.isArray(given)) throw invalid('value', 'must be of type object')
  const found = given as Record<string, unknown>
  for (const [label, { rule, required }] of Object.entries(form)) {
    const value = Object.hasOwn(found, label) ? found[label] : undefined
    if (value === undefined && !required) continue
    const complaint = value === undefined ? { label, says: 'is required' } : rule(value, label)
    if (complaint) throw invalid(complaint.label, complaint.says)
  }
  for (const key of Object.keys(found)) if (!Object.hasOwn(form, key)) throw invalid(key, 'is not allowed')
  return found
}

const required = (rule: Rule): Field => ({ rule, required: true })
const optional = (rule: Rule): Field => ({ rule, required: false })

type TextRules = { alphanumeric?: true; email?: true; min?: number; max?: number; only?: readonly string[] }

const text =
  ({ alphanumeric, email, min, max, only }: TextRules = {}): Rule =>
  (value, label) => {
    const says = (words: string) => ({ label, says: words })
    if (only && !only.includes(value as string)) return says(`must be one of [${only.join(', ')}]`)
    if (typeof value !== 'string') return says('must be a string')
    if (value === '') return says('is not allowed to be empty')
    if (email && !isEmail(value)) return says('must be a valid email')
    if (alphanumeric && !/^[a-zA-Z0-9]+$/.test(value))
      return says('must only contain alpha-numeric characters')
    if (min !== undefined && value.length < min) return says(`length must be at least ${min} characters long`)
    if (max !== undefined && value.length > max) {
      return says(`length must be less than or equal to ${max} characters long`)
    }
    return undefined
  }

const list =
  ({ min = 0, max }: { min?: number; max: number }): Rule =>
  (value, label) => {
    if (!Array.isArray(value)) return { label, says: 'must be an array' }
    const item = text()
    for (const [place, one] of value.entries()) {
      const complaint = item(one, label)
      if (complaint) return { ...complaint, label: `${label}[${place}]` }
    }
    if (value.length < min) return { label, says: `must contain at least ${min} items` }
    if (value.length > max) return { label, says: `must contain less than or equal to ${max} items` }
    return undefined
  }

const whole: Rule = (value, label) => {
  if (typeof value !== 'number' || !Number.isFinite(value)) return { label, says: 'must be a number' }
  if (!Number.isSafeInteger(value)) return { label, says: 'must be an integer' }
  return value < 0 ? { label, says: 'must be greater than or equal to 0' } : undefined
}

/** `USER` is what one revision of the old service called everybody. Taken, and never said. */
const roles = ['ADMIN', 'AGENT', 'CUSTOMER']
const role: Rule = (value, label) => (value === 'USER' ? undefined : text({ only: roles })(value, label))

const file = {
  fileUrl: optional(text({ max: 200 })),
  fileName: optional(text({ max: 300 })),
  fileSize: optional(whole),
}

export const forms = {
  register: {
    email: required(text({ email: true })),
    username: required(text({ alphanumeric: true, min: 3, max: 30 })),
    password: required(text({ min: 6, max: 200 })),
    role: optional(role),
    registrationSecret: optional(text({ max: 200 })),
    invitation: optional(text({ max: 200 })),
  },
  login: { email: required(text({ email: true })), password: required(text({ max: 200 })) },
  refresh: { refreshToken: required(text({ max: 8_192 })) },
  conversation: {
    participantIds: required(list({ min: 1, max: 1_000 })),
    type: required(text({ only: ['DIRECT', 'GROUP'] })),
    name: optional(text({ max: 100 })),
  },
  participants: { participantIds: required(list({ min: 1, max: 1_000 })) },
  message: {
    conversationId: required(text()),
    content: required(text({ min: 1, max: 2_000 })),
    type: optional(text({ only: ['TEXT', 'FILE', 'IMAGE'] })),
    ...file,
  },
  socketMessage: {
    conversationId: required(text()),
    content: required(text({ min: 1, max: 2_000 })),
    type: optional(text({ only: ['TEXT'] })),
  },
  read: { messageIds: required(list({ max: 5_000 })) },
  widgetAuth: {
    visitorId: required(text({ min: 20, max: 200 })),
    email: optional(text({ email: true })),
    name: optional(text({ max: 100 })),
  },
  widgetConversation: { visitorId: required(text({ min: 20, max: 200 })) },
  widgetMessage: {
    message: required(text({ min: 1, max: 5_000 })),
    conversationId: required(text()),
    visitorId: required(text()),
  },
  widgetHistory: { visitorId: required(text()) },
} satisfies Record<string, Form>
