import type {
  Conversation,
  ConversationSummary,
  Event,
  Hello,
  LogEvent,
  Message,
  Participant,
  Receipt,
} from '@parley/protocol'
import { routeOf } from './http.ts'
import { realtimeRoutes } from './routes.ts'
import type { Command, HeardFrame, Told, Transport } from './transports/transport.ts'

/**
 * A server in memory, for tests: the log, a wire that can be slowed, cut and made to repeat, and the few operations the
 * stores need. It keeps its truth in its own way (whole entities changed in place, the log beside them), so that
 * folding the log and reading the entities are two roads to the same place. Everything it does waits for a turn,
 * which the test gives (`turn`), so that answers and events cross on the way as they do in life.
 */
type Kept = {
  conversation: Conversation
  participants: Participant[]
  messages: Message[]
  receipts: Map<string, Receipt>
  log: LogEvent[]
  deleted: boolean
}

type Line = {
  userId: string
  contact: boolean
  told: Told
  out: HeardFrame[]
  follows: Map<string, boolean>
  feed: boolean
  welcomed: boolean
  sent: number
  open: boolean
}

const epochMs = Date.UTC(2026, 0, 1)

export class FakeServer {
  kept = new Map<string, Kept>()
  lines = new Set<Line>()
  /** What waits for a turn. */
  jobs: { line: Line | null; run: () => void }[] = []
  /** Everything done so far; a cursor is a position in it. */
  changes: { conversationId: string }[] = []
  epoch = 0
  /** Refuses connections and requests. */
  down = false
  /** Operations that find no conversation, as for somebody who was put out. */
  refuses = new Set<string>()
  /** Answers to sends get lost after being done. */
  loseAnswers = false
  repeat = false
  pick: (count: number) => number = () => 0
  sends: string[] = []
  hellos: Hello[] = []
  #ids = 0

  id = () => `00000000-0000-7000-8000-${(++this.#ids).toString(16).padStart(12, '0')}`
  #now = () => new Date(epochMs + this.changes.length * 1000).toISOString()

  // ---- what happens

  open(people: { userId: string; role: 'contact' | 'agent' }[]): string {
    const id = this.id()
    const at = this.#now()
    const conversation: Conversation = {
      id,
      kind: 'support',
      inboxId: null,
      topic: 'SUPPORT',
      status: 'open',
      subject: '',
      priority: 0,
      metadata: {},
      assigneeId: null,
      createdBy: people[0]?.userId ?? null,
      grantRequired: false,
      lastSeq: 0,
      createdAt: at,
      updatedAt: at,
      closedAt: null,
    }
    this.kept.set(id, {
      conversation,
      participants: [],
      messages: [],
      receipts: new Map(),
      log: [],
      deleted: false,
    })
    this.#record(id, null, { type: 'conversation.created' })
    for (const { userId, role } of people) this.join(id, userId, role)
    this.show(id)
    return id
  }

  show(id: string) {
    for (const line of this.lines)
      this.#tell(line, { type: 'conversation.changed', summary: this.summary(id, line) })
  }

  join(id: string, userId: string, role: 'contact' | 'agent') {
    const kept = this.#get(id)
    const at = this.#now()
    const participant: Participant = {
      userId,
      name: userId,
      avatarUrl: null,
      role,
      joinedAt: at,
      leftAt: null,
    }
    kept.participants = [...kept.participants.filter((one) => one.userId !== userId), participant]
    if (!kept.receipts.has(userId)) kept.receipts.set(userId, receiptOf(userId))
    this.#record(id, userId, { type: 'participant.joined', participant })
  }

  leave(id: string, userId: string) {
    const kept = this.#get(id)
    const at = this.#now()
    kept.participants = kept.participants.map((one) => (one.userId === userId ? { ...one, leftAt: at } : one))
    this.#record(id, userId, { type: 'participant.left', userId })
  }

  send(
    id: string,
    senderId: string,
    body: string,
    extra: Partial<Pick<Message, 'visibility' | 'clientMessageId' | 'senderRole'>> = {},
  ): Message {
    const kept = this.#get(id)
    const earlier = kept.messages.find(
      (one) =>
        extra.clientMessageId && one.clientMessageId === extra.clientMessageId && one.senderId === senderId,
    )
    if (earlier) return earlier
    const message: Message = {
      id: this.id(),
      conversationId: id,
      seq: kept.conversation.lastSeq + 1,
      senderId,
      senderRole: senderId === 'ana' ? 'contact' : 'agent',
      clientMessageId: null,
      kind: 'text',
      body,
      visibility: 'everyone',
      replyToId: null,
      metadata: {},
      attachments: [],
      reactions: [],
      createdAt: this.#now(),
      editedAt: null,
      retractedAt: null,
      ...extra,
    }
    kept.messages.push(message)
    this.#record(id, senderId, { type: 'message.created', message: { ...message } })
    return message
  }

  edit(id: string, nth: number, body: string) {
    const message = this.#nth(id, nth)
    if (!message || message.retractedAt) return
    Object.assign(message, { body, editedAt: this.#now() })
    this.#record(id, message.senderId, { type: 'message.edited', messageId: message.id, body })
  }

  retract(id: string, nth: number) {
    const message = this.#nth(id, nth)
    if (!message || message.retractedAt) return
    const empty = { body: '', attachments: [], reactions: [], metadata: {}, retractedAt: this.#now() }
    Object.assign(message, empty)
    this.#record(id, message.senderId, { type: 'message.retracted', messageId: message.id })
  }

  react(id: string, nth: number, userId: string, emoji: string) {
    const message = this.#nth(id, nth)
    if (!message || message.retractedAt) return
    const there = message.reactions.find((one) => one.emoji === emoji)
    const removed = there?.userIds.includes(userId) ?? false
    if (removed) {
      message.reactions = message.reactions
        .map((one) => (one === there ? { emoji, userIds: one.userIds.filter((who) => who !== userId) } : one))
        .filter((one) => one.userIds.length)
    } else {
      message.reactions = there
        ? message.reactions.map((one) => (one === there ? { emoji, userIds: [...one.userIds, userId] } : one))
        : [...message.reactions, { emoji, userIds: [userId] }]
    }
    this.#record(id, userId, { type: 'message.reacted', messageId: message.id, userId, emoji, removed })
  }

  update(id: string, changes: Partial<Pick<Conversation, 'status' | 'subject' | 'assigneeId' | 'priority'>>) {
    Object.assign(this.#get(id).conversation, changes)
    this.#record(id, null, { type: 'conversation.updated', changes })
  }

  mark(id: string, userId: string, mark: { delivered?: number; read?: number }): Receipt {
    const kept = this.#get(id)
    const old = kept.receipts.get(userId) ?? receiptOf(userId)
    const read = Math.min(kept.conversation.lastSeq, Math.max(old.read, mark.read ?? 0))
    const delivered = Math.min(kept.conversation.lastSeq, Math.max(old.delivered, mark.delivered ?? 0, read))
    const receipt = { ...old, read, delivered }
    kept.receipts.set(userId, receipt)
    this.changes.push({ conversationId: id })
    for (const line of this.lines) {
      if (line.follows.get(id) || line.userId === userId) {
        this.#tell(line, { type: 'receipt.moved', conversationId: id, receipt })
      }
    }
    return receipt
  }

  /** A backup was put back: everything after the first `keep` entries of each conversation never happened. */
  restore(keep: number) {
    this.epoch++
    for (const kept of this.kept.values()) {
      const at = kept.conversation.createdAt
      kept.log = kept.log.slice(0, keep)
      kept.messages = kept.messages.filter((one) => one.seq <= keep)
      kept.conversation.lastSeq = kept.log.length
      kept.conversation.updatedAt = kept.log.at(-1)?.at ?? at
      for (const [userId] of kept.receipts) kept.receipts.set(userId, receiptOf(userId))
    }
    for (const line of [...this.lines]) this.cut(line)
  }

  // ---- what is true for one reader

  visible(id: string, contact: boolean): Message[] {
    return this.#get(id).messages.filter((one) => !contact || one.visibility === 'everyone')
  }

  summary(id: string, { userId, contact }: { userId: string; contact: boolean }): ConversationSummary {
    const kept = this.#get(id)
    const messages = this.visible(id, contact)
    const receipt = kept.receipts.get(userId) ?? null
    const unread = messages.filter((one) => one.senderId !== userId && one.seq > (receipt?.read ?? 0)).length
    return structuredClone({
      conversation: kept.conversation,
      participants: kept.participants.filter((one) => !one.leftAt).slice(0, 20),
      lastMessage: messages.at(-1) ?? null,
      unread,
      receipt,
    })
  }

  // ---- the wire

  /** For `connect(…, { transports })`. */
  transport(userId: string): Transport {
    return (hello, _wire, told) => {
      const line: Line = {
        userId,
        contact: userId === 'ana',
        told,
        out: [],
        follows: new Map(),
        feed: hello.feed ?? true,
        welcomed: false,
        sent: 0,
        open: true,
      }
      this.lines.add(line)
      this.hellos.push(hello)
      this.jobs.push({ line, run: () => (this.down ? this.cut(line) : this.#hello(line, hello)) })
      return {
        send: (frame) => {
          if (line.open && frame.type !== 'heartbeat') this.#take(line, frame as Command)
        },
        close: () => this.#close(line),
      }
    }
  }

  /** REST. */
  fetch = async (url: string | URL | Request, init?: RequestInit): Promise<Response> => {
    if (this.down) throw new TypeError('fetch failed')
    const { method = 'GET' } = init ?? {}
    const [path = '', query = ''] = String(url)
      .replace(/^.*\/api\/v1/, '')
      .split('?')
    const token = String(new Headers(init?.headers).get('authorization')).replace('Bearer ', '')
    const input = { ...JSON.parse(String(init?.body ?? '{}')), ...numbers(new URLSearchParams(query)) }
    for (const [name, row] of Object.entries(realtimeRoutes)) {
      const [verb, template = ''] = row.split(' ')
      const keys = [...template.matchAll(/\{(\w+)\}/g)].map((match) => match[1] as string)
      const match = new RegExp(`^${template.replace(/\{\w+\}/g, '([^/]+)')}$`).exec(path)
      if (verb !== method || !match) continue
      for (const [at, key] of keys.entries()) input[key] = decodeURIComponent(match[at + 1] ?? '')
      routeOf(name, input)
      const answer = this.#do(name, input, { userId: token, contact: token === 'ana' })
      if (this.loseAnswers) throw new TypeError('fetch failed')
      return answer.error
        ? Response.json({ error: answer.error }, { status: 409 })
        : Response.json(answer.result ?? null)
    }
    return Response.json({ error: { code: 'not_found', message: 'No.', retry: false } }, { status: 404 })
  }

  /** One thing happens on the wire. False: nothing waits. */
  turn(): boolean {
    const ready = [...this.lines].filter((line) => line.out.length)
    const choices = this.jobs.length + ready.length
    if (!choices) return false
    const choice = this.pick(choices)
    if (choice < ready.length) {
      const line = ready[choice] as Line
      line.told.heard()
      line.told.frame(line.out.shift() as HeardFrame)
    } else {
      // Of one line the jobs may overtake each other, as they do behind a pool of database connections.
      const [job] = this.jobs.splice(choice - ready.length, 1)
      if (!job?.line || job.line.open) job?.run()
    }
    return true
  }

  beat() {
    for (const line of this.lines) {
      if (!line.welcomed) continue
      line.out.push({ type: 'heartbeat', cursor: this.#cursor(), sent: line.sent })
    }
  }

  cut(line = [...this.lines][0]) {
    if (!line?.open) return
    this.#close(line)
    line.told.lost({ reason: 'lost', error: null })
  }

  #close(line: Line) {
    line.open = false
    this.lines.delete(line)
    this.jobs = this.jobs.filter((job) => job.line !== line)
  }

  #cursor = () => `${this.epoch}.${this.changes.length}`

  #hello(line: Line, hello: Hello) {
    line.welcomed = true
    line.out.push({
      type: 'welcome',
      connectionId: 'c',
      userId: line.userId,
      cursor: this.#cursor(),
      heartbeatMs: 20_000,
      protocol: 1,
    })
    if (hello.cursor) {
      const [epoch, position] = hello.cursor.split('.').map(Number)
      if (epoch !== this.epoch) line.out.push({ type: 'reset', conversationId: null, reason: 'epoch' })
      else {
        for (const id of new Set(this.changes.slice(position).map((one) => one.conversationId))) {
          this.#tell(line, { type: 'conversation.changed', summary: this.summary(id, line) })
        }
      }
    }
    for (const { conversationId, after } of hello.follow ?? []) this.#follow(line, conversationId, after)
  }

  #follow(line: Line, id: string, after: number) {
    const kept = this.#get(id)
    if (after > kept.conversation.lastSeq) {
      line.out.push({ type: 'reset', conversationId: id, reason: 'position_ahead' })
      return
    }
    line.follows.set(id, false)
    const page = () => {
      const entries = this.#seen(line, id).filter((event) => event.seq > after)
      for (const event of entries.slice(0, 2)) this.#tell(line, event)
      after = entries.slice(0, 2).at(-1)?.seq ?? kept.conversation.lastSeq
      if (entries.length > 2) {
        this.jobs.push({ line, run: page })
        return
      }
      line.follows.set(id, true)
      line.out.push({ type: 'caughtup', conversationId: id, seq: kept.conversation.lastSeq })
    }
    this.jobs.push({ line, run: page })
  }

  #seen = (line: { contact: boolean }, id: string) =>
    this.#get(id).log.filter(
      (event) => !line.contact || event.type !== 'message.created' || event.message.visibility === 'everyone',
    )

  #take(line: Line, { id, type, ...input }: Command) {
    this.jobs.push({
      line,
      run: () => {
        const conversationId = input.conversationId as string
        let answer: Answer = {}
        if (type === 'conversation.follow') this.#follow(line, conversationId, input.after as number)
        else if (type === 'conversation.unfollow') line.follows.delete(conversationId)
        else answer = this.#do(type, input, line)
        if (this.loseAnswers && type === 'message.send') return
        // Done now, told later: what happens between overtakes the answer.
        const { result, error } = structuredClone(answer)
        this.jobs.push({ line, run: () => line.out.push({ type: 'reply', id, ok: !error, result, error }) })
      },
    })
  }

  #do(name: string, input: Record<string, unknown>, who: { userId: string; contact: boolean }): Answer {
    const id = input.conversationId as string
    const kept = this.kept.get(id)
    if (id && (!kept || this.refuses.has(name)))
      return { error: { code: 'not_found', message: 'Not here.', retry: false } }
    switch (name) {
      case 'conversation.list': {
        const all = [...this.kept.keys()].map((one) => this.summary(one, who))
        const place = ({ conversation: { updatedAt, id } }: ConversationSummary) => `${updatedAt} ${id}`
        all.sort((a, b) => (place(a) < place(b) ? 1 : -1))
        const rest = all.filter((row) => !input.page || place(row) < String(input.page))
        const conversations = rest.slice(0, Math.min(Number(input.limit), this.listPage))
        const last = conversations.at(-1)
        const nextPage = last && rest.length > conversations.length ? place(last) : null
        return { result: { conversations, nextPage, cursor: this.#cursor() } }
      }
      case 'conversation.get':
        return { result: this.summary(id, who) }
      case 'participant.list':
        return { result: { participants: kept?.participants } }
      case 'receipt.list':
        return { result: { receipts: [...(kept?.receipts.values() ?? [])] } }
      case 'receipt.move':
        return { result: this.mark(id, who.userId, input) }
      case 'message.list': {
        const before = Number(input.before ?? Number.POSITIVE_INFINITY)
        const all = this.visible(id, who.contact).filter((one) => one.seq < before)
        const messages = all.slice(-Number(input.limit))
        const hasMore = all.length > messages.length
        return {
          result: { messages: structuredClone(messages), lastSeq: kept?.conversation.lastSeq, hasMore },
        }
      }
      case 'log.list': {
        const after = Number(input.after)
        const events = this.#seen(who, id).filter((event) => event.seq > after)
        const lastSeq = kept?.conversation.lastSeq
        return { result: { events, lastSeq, upTo: lastSeq } }
      }
      case 'message.send':
      case 'message.note': {
        const clientMessageId = input.clientMessageId as string
        this.sends.push(clientMessageId)
        if (kept?.conversation.status === 'closed') {
          return { error: { code: 'conversation_closed', message: 'Closed.', retry: false } }
        }
        const visibility = name === 'message.note' ? 'agents' : 'everyone'
        return {
          result: structuredClone(
            this.send(id, who.userId, input.body as string, { clientMessageId, visibility }),
          ),
        }
      }
    }
    return {}
  }

  listPage = 50

  #record(id: string, actorId: string | null, what: object) {
    const { conversation, log } = this.#get(id)
    const at = this.#now()
    const event = { ...what, conversationId: id, seq: ++conversation.lastSeq, at, actorId } as LogEvent
    conversation.updatedAt = at
    log.push(structuredClone(event))
    this.changes.push({ conversationId: id })
    for (const line of this.lines) {
      if (line.contact && event.type === 'message.created' && event.message.visibility === 'agents') continue
      if (line.feed || line.follows.get(id)) this.#tell(line, event)
    }
  }

  #tell(line: Line, event: Event) {
    if (!line.welcomed) return
    for (let copies = this.repeat && this.pick(4) === 0 ? 2 : 1; copies > 0; copies--) {
      line.sent++
      line.out.push(structuredClone(event))
    }
  }

  #get(id: string): Kept {
    const kept = this.kept.get(id)
    if (!kept) throw new Error(`no conversation ${id}`)
    return kept
  }

  #nth(id: string, nth: number) {
    const { messages } = this.#get(id)
    return messages.length ? messages[nth % messages.length] : undefined
  }
}

type Answer = { result?: unknown; error?: { code: string; message: string; retry: boolean } }

const receiptOf = (userId: string): Receipt => ({
  userId,
  delivered: 0,
  read: 0,
  deliveredAt: null,
  readAt: null,
  allReadAt: null,
  readBeyond: [],
})

const numbers = (query: URLSearchParams) =>
  Object.fromEntries([...query].map(([key, value]) => [key, /^\d+$/.test(value) ? Number(value) : value]))
