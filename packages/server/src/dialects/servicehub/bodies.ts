import { byteLength, limits } from '@parley/protocol'
import { type Refusal, refusals } from './refusals.ts'

type Body = Readonly<Record<string, unknown>>

/** The body as an object. None at all is an empty one: what is missing is then said field by field. */
export function bodyOf(value: unknown): Body {
  if (value === undefined) return {}
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refusals.notAnObject()
  return value as Body
}

/** A text, or nothing where it is missing or empty. */
export function textOf(body: Body, field: string, longest: number = limits.messageBytes): string | undefined {
  const value = Object.hasOwn(body, field) ? body[field] : undefined
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value !== 'string') throw refusals.notText(field)
  if (byteLength(value) > longest) throw refusals.tooLong(field)
  return value
}

/** A text that says something. */
export function requiredText(
  body: Body,
  field: string,
  longest: number,
  missing: () => Refusal = () => refusals.required(field),
): string {
  const text = textOf(body, field, longest)
  if (text === undefined || text.trim() === '') throw missing()
  return text
}

/** What proves that somebody may register, where a client cannot set a header. */
export function proofsOf(body: Body): { registrationSecret?: string; invitation?: string } {
  const registrationSecret = textOf(body, 'registrationSecret', 500)
  const invitation = textOf(body, 'invitation', 500)
  return {
    ...(registrationSecret !== undefined && { registrationSecret }),
    ...(invitation !== undefined && { invitation }),
  }
}
