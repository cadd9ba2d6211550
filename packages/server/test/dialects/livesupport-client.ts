import { once } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'
import { expect } from 'vitest'
import { WebSocket } from 'ws'

// biome-ignore lint/suspicious/noExplicitAny: a test says what it expects by asserting it; a type would be a claim unchecked.
type Body = any
export type Answer = { status: number; body: Body; headers: Headers }

/** A client of Live Support, somebody or nobody, at one base URL. */
export class Client {
  readonly base: string
  readonly token: string | undefined
  readonly id: string
  readonly email: string

  constructor(
    base: string,
    { token, id = '', email = '' }: { token?: string; id?: string; email?: string } = {},
  ) {
    this.base = base
    this.token = token
    this.id = id
    this.email = email
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return this.ask('GET', path, { headers })
  }

  post(path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    return this.ask('POST', path, {
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
  }

  async ask(
    method: string,
    path: string,
    { headers = {}, body }: { headers?: Record<string, string>; body?: string },
  ): Promise<Answer> {
    const authorization = this.token && { authorization: `Bearer ${this.token}` }
    const response = await fetch(`${this.base}${path}`, {
      method,
      headers: { ...authorization, ...headers },
      ...(body !== undefined && { body }),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: text ? JSON.parse(text) : undefined }
  }

  /** Signs up and logs in. */
  async person(role: string, more: Record<string, unknown> = {}): Promise<Client> {
    const account = {
      name: role,
      email: `${role}-${crypto.randomUUID()}@example.com`,
      password: 'password123',
    }
    const made = await this.post('/auth/signup', { ...account, role, ...more })
    expect(made.status, JSON.stringify(made.body)).toBe(201)
    return this.login(account.email, made.body.data._id)
  }

  async login(email: string, id: string): Promise<Client> {
    const { body } = await this.post('/auth/login', { email, password: 'password123' })
    return new Client(this.base, { token: body.data.token, id, email })
  }

  async open(supervisor: Client): Promise<string> {
    const opened = await this.post('/conversations', { supervisorId: supervisor.id })
    expect(opened.status, JSON.stringify(opened.body)).toBe(201)
    return opened.body.data._id
  }

  async assign(conversationId: string, agent: Client): Promise<void> {
    const assigned = await this.post(`/conversations/${conversationId}/assign`, { agentId: agent.id })
    expect(assigned.status, JSON.stringify(assigned.body)).toBe(200)
  }

  connect(): Promise<LiveSocket> {
    return LiveSocket.open(this.base, this.token ?? '')
  }
}

type Frame = { event: string; data: Body }

export class LiveSocket {
  readonly socket: WebSocket
  readonly heard: Frame[] = []
  isClosed = false

  static async open(base: string, token: string): Promise<LiveSocket> {
    const socket = new LiveSocket(new WebSocket(`${base.replace(/^http/, 'ws')}/ws?token=${token}`))
    await once(socket.socket, 'open')
    return socket
  }

  constructor(socket: WebSocket) {
    this.socket = socket
    socket.on('message', (data) => this.heard.push(JSON.parse(data.toString())))
    socket.on('error', () => {})
    socket.on('close', () => {
      this.isClosed = true
    })
  }

  say(event: string, data?: unknown): void {
    this.socket.send(JSON.stringify({ event, data }))
  }

  send(conversationId: string, content: string): void {
    this.say('SEND_MESSAGE', { conversationId, content })
  }

  async join(conversationId: string): Promise<void> {
    this.say('JOIN_CONVERSATION', { conversationId })
    expect((await this.next()).event).toBe('JOINED_CONVERSATION')
  }

  async next(withinMs = 5_000): Promise<Frame> {
    for (let waited = 0; waited < withinMs; waited += 5) {
      const frame = this.heard.shift()
      if (frame) return frame
      await wait(5)
    }
    throw new Error('Nothing more was heard')
  }

  close(): void {
    this.socket.terminate()
  }
}
