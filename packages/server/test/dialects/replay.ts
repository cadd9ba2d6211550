import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { io, type Socket } from 'socket.io-client'
import { expect } from 'vitest'
import { WebSocket } from 'ws'

/**
 * A recorded exchange with a dialect: what a client sends, what it must see. Strings may hold `{{name}}`, filled in from
 * what earlier steps saved. Expected values match exactly, but for these words: `<any>`, `<string>`, `<number>`,
 * `<boolean>`, `<iso>` (an instant with milliseconds and Z), `<decimal>`, `<uuid>`, `<hex24>`, and each with
 * `=name` before the `>` to save what was there (`<decimal=chat>`). Letters and underscores before a word are part of the
 * value (`conv_<uuid>`). `"...": true` in an object lets further keys be; a list that begins with `"..."` holds the items
 * after it somewhere, in any order, and may hold others.
 */
export type Fixture = {
  title: string
  /** Rows of the dialect's table (`rows.json`) that this exchange shows. */
  covers: string[]
  steps: Step[]
}

export type Step =
  | { http: HttpRequest; gives: HttpAnswer }
  /** Opens a raw WebSocket under a name. */
  | { open: string; path: string }
  /** Connects a Socket.IO client under a name; `refused` is the message of the connect_error it must get. */
  | { connect: string; auth?: Record<string, unknown>; refused?: string }
  | { say: string; frame: unknown }
  /** With `acked`, waits for the answer of the event's callback and compares it. */
  | { emit: string; event: string; args: unknown[]; acked?: unknown }
  /** The next frames (raw) or `[event, …args]` (Socket.IO), in this order. */
  | { hears: string; frames: unknown[] }
  /** Nothing more is heard for a while; frames not taken by `hears` count. */
  | { silent: string; forMs?: number }
  | { closed: string; code?: number; reason?: string }
  | { leave: string }
  | { sleep: number }

export type HttpRequest = {
  method: string
  path: string
  token?: string
  headers?: Record<string, string>
  body?: unknown
  /** Sent as it stands, for bodies that are not JSON. */
  raw?: string
  /** A multipart form with one file. */
  file?: { field: string; name: string; type: string; text?: string; base64?: string }
}
export type HttpAnswer = { status: number; body?: unknown; text?: string; headers?: Record<string, string> }

/** Everything in a dialect's `fixtures/` folder but the list of its rows. */
export function readFixtures(dialect: string): Fixture[] {
  const folder = new URL(`../../src/dialects/${dialect}/fixtures/`, import.meta.url)
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json') && name !== 'rows.json')
    .sort()
    .flatMap((name) => JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as Fixture | Fixture[])
}

/** Every row of the dialect's tables: endpoints, events, and their errors, by short unique names. */
export function readRows(dialect: string): string[] {
  return JSON.parse(
    readFileSync(new URL(`../../src/dialects/${dialect}/fixtures/rows.json`, import.meta.url), 'utf8'),
  ) as string[]
}

type Ear = {
  heard: unknown[]
  close(): void
  say(frame: unknown): void
  emit(event: string, args: unknown[]): void
  ask(event: string, args: unknown[]): Promise<unknown>
  code: number | null
  reason: string
}

/** Plays an exchange against a running server; `base` is where the dialect's clients would point their base URL. */
export async function replay(
  fixture: Fixture,
  base: string,
  given: Record<string, string> = {},
): Promise<Record<string, string>> {
  const saved: Record<string, string> = { ...given }
  const ears = new Map<string, Ear>()
  const ear = (name: string) => {
    const found = ears.get(name)
    if (!found) throw new Error(`${fixture.title}: nobody named ${name} is connected`)
    return found
  }
  try {
    for (const [i, raw] of fixture.steps.entries()) {
      const step = fill(raw, saved) as Step
      const where = `${fixture.title}, step ${i + 1}`
      if ('http' in step) await playHttp(step, base, saved, where)
      else if ('open' in step) ears.set(step.open, await openRaw(base, step.path))
      else if ('connect' in step) {
        const outcome = await connectIo(base, step.auth)
        if (step.refused !== undefined) expect(outcome, where).toBe(step.refused)
        else if (typeof outcome === 'string') throw new Error(`${where}: refused with ${outcome}`)
        else ears.set(step.connect, outcome)
      } else if ('say' in step) ear(step.say).say(step.frame)
      else if ('emit' in step) {
        if (step.acked === undefined) ear(step.emit).emit(step.event, step.args)
        else match(await ear(step.emit).ask(step.event, step.args), step.acked, saved, where)
      } else if ('hears' in step) {
        for (const expected of step.frames)
          match(
            await next(ear(step.hears), `${where}, ${step.hears}`),
            fill(expected, saved),
            saved,
            `${where}, ${step.hears}`,
          )
      } else if ('silent' in step) {
        await wait(step.forMs ?? 150)
        expect(ear(step.silent).heard, `${where}: ${step.silent} should hear nothing`).toEqual([])
      } else if ('closed' in step) {
        await expect.poll(() => ear(step.closed).code, { timeout: 5_000, message: where }).not.toBeNull()
        if (step.code !== undefined) expect(ear(step.closed).code, where).toBe(step.code)
        if (step.reason !== undefined) expect(ear(step.closed).reason, where).toBe(step.reason)
      } else if ('leave' in step) ear(step.leave).close()
      else await wait(step.sleep)
    }
    return saved
  } finally {
    for (const open of ears.values()) open.close()
  }
}

async function playHttp(
  { http, gives }: { http: HttpRequest; gives: HttpAnswer },
  base: string,
  saved: Record<string, string>,
  where: string,
): Promise<void> {
  const json = http.body !== undefined ? { 'content-type': 'application/json' } : {}
  const response = await fetch(`${base}${http.path}`, {
    method: http.method,
    headers: { ...json, ...(http.token && { authorization: `Bearer ${http.token}` }), ...http.headers },
    ...(http.body !== undefined && { body: JSON.stringify(http.body) }),
    ...(http.raw !== undefined && { body: http.raw }),
    ...(http.file && { body: formOf(http.file) }),
  })
  const text = await response.text()
  expect(response.status, `${where}: ${http.method} ${http.path} answered ${text.slice(0, 500)}`).toBe(
    gives.status,
  )
  for (const [name, value] of Object.entries(gives.headers ?? {}))
    match(response.headers.get(name), value, saved, `${where}, header ${name}`)
  if (gives.text !== undefined) match(text, gives.text, saved, where)
  if (gives.body !== undefined) match(JSON.parse(text), gives.body, saved, where)
}

function formOf(file: NonNullable<HttpRequest['file']>): FormData {
  const form = new FormData()
  const bytes = file.base64 ? Buffer.from(file.base64, 'base64') : Buffer.from(file.text ?? '')
  form.set(file.field, new Blob([bytes], { type: file.type }), file.name)
  return form
}

async function openRaw(base: string, path: string): Promise<Ear> {
  const socket = new WebSocket(`${base.replace(/^http/, 'ws')}${path}`)
  const ear: Ear = {
    heard: [],
    code: null,
    reason: '',
    close: () => socket.terminate(),
    say: (frame) => socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame)),
    emit: () => {
      throw new Error('A raw WebSocket has no events; use say')
    },
    ask: async () => {
      throw new Error('A raw WebSocket has no events; use say')
    },
  }
  socket.on('message', (data) => ear.heard.push(JSON.parse(data.toString())))
  socket.on('close', (code, reason) => {
    ear.code = code
    ear.reason = reason.toString()
  })
  await new Promise<void>((resolve, reject) => socket.once('open', () => resolve()).once('error', reject))
  return ear
}

/** At a prefix the last part of the path is the namespace, as socket.io-client takes it. */
async function connectIo(base: string, auth: Record<string, unknown> = {}): Promise<Ear | string> {
  const socket: Socket = io(base, { auth, transports: ['websocket'], reconnection: false, forceNew: true })
  const ear: Ear = {
    heard: [],
    code: null,
    reason: '',
    close: () => socket.disconnect(),
    say: () => {
      throw new Error('Socket.IO speaks in events; use emit')
    },
    emit: (event, args) => socket.emit(event, ...args),
    ask: (event, args) => socket.timeout(5_000).emitWithAck(event, ...args),
  }
  socket.onAny((...args) => ear.heard.push(args))
  socket.on('disconnect', () => {
    ear.code = 0
  })
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(ear))
    socket.once('connect_error', (error) => {
      socket.disconnect()
      resolve(error.message)
    })
  })
}

async function next(ear: Ear, where: string): Promise<unknown> {
  for (let waited = 0; ear.heard.length === 0; waited += 10) {
    if (waited > 5_000) throw new Error(`${where} heard nothing more`)
    await wait(10)
  }
  return ear.heard.shift()
}

function fill(value: unknown, saved: Record<string, string>): unknown {
  if (typeof value === 'string') {
    return value.replaceAll(/\{\{(\w+)\}\}/g, (whole, name: string) => saved[name] ?? whole)
  }
  if (Array.isArray(value)) return value.map((item) => fill(item, saved))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [String(fill(key, saved)), fill(item, saved)]),
  )
}

const words: Record<string, (value: unknown) => boolean> = {
  any: () => true,
  string: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number',
  boolean: (value) => typeof value === 'boolean',
  iso: (value) => typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value),
  decimal: (value) => typeof value === 'string' && /^[1-9]\d*$/.test(value),
  uuid: (value) => typeof value === 'string' && /^[0-9a-f-]{36}$/.test(value),
  hex24: (value) => typeof value === 'string' && /^[0-9a-f]{24}$/.test(value),
}

function match(actual: unknown, expected: unknown, saved: Record<string, string>, where: string): void {
  if (typeof expected === 'string') {
    const [, prefix = '', word = '', name] = /^([a-z_]*)<(\w+)(?:=(\w+))?>$/i.exec(expected) ?? []
    const test = words[word]
    if (!test) return expect(actual, where).toBe(fill(expected, saved))
    const isRight =
      prefix === '' ? test(actual) : isPrefixed(actual, prefix) && test(actual.slice(prefix.length))
    expect(isRight, `${where}: ${JSON.stringify(actual)} should be ${expected}`).toBe(true)
    if (name) saved[name] = String(actual)
    return
  }
  if (Array.isArray(expected)) {
    expect(Array.isArray(actual), `${where}: ${JSON.stringify(actual)} should be a list`).toBe(true)
    if (expected[0] === '...') return matchSome(actual as unknown[], expected.slice(1), saved, where)
    expect((actual as unknown[]).length, `${where}: length of ${JSON.stringify(actual)}`).toBe(
      expected.length,
    )
    for (const [i, item] of expected.entries()) match((actual as unknown[])[i], item, saved, `${where}[${i}]`)
    return
  }
  if (typeof expected !== 'object' || expected === null) return expect(actual, where).toBe(expected)
  expect(
    typeof actual === 'object' && actual !== null,
    `${where}: ${JSON.stringify(actual)} should be an object`,
  ).toBe(true)
  const holder = actual as Record<string, unknown>
  const { '...': open, ...fields } = expected as Record<string, unknown>
  const keys = Object.keys(fields).map((key) => String(fill(key, saved)))
  if (!open)
    expect(Object.keys(holder).sort(), `${where}: keys of ${JSON.stringify(actual)}`).toEqual(
      [...keys].sort(),
    )
  for (const [key, item] of Object.entries(fields))
    match(holder[String(fill(key, saved))], item, saved, `${where}.${key}`)
}

const isPrefixed = (value: unknown, prefix: string): value is string =>
  typeof value === 'string' && value.startsWith(prefix)

function matchSome(
  actual: unknown[],
  expected: unknown[],
  saved: Record<string, string>,
  where: string,
): void {
  for (const item of expected) {
    const found = actual.some((one) => fits(one, item, saved))
    expect(found, `${where}: ${JSON.stringify(actual)} should hold ${JSON.stringify(item)}`).toBe(true)
  }
}

function fits(actual: unknown, expected: unknown, saved: Record<string, string>): boolean {
  try {
    match(actual, expected, saved, '')
    return true
  } catch {
    return false
  }
}
