import { randomBytes } from 'node:crypto'
import { type OperationName, operationNames, operationOf, type Role, roles } from '@parley/protocol'
import { openApi } from '@parley/protocol/openapi'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { dialects } from '../src/dialects/dialects.ts'
import { requireDocumented } from '../src/documented.ts'
import { type Answer, type Person, startServer, type TestServer } from '../src/testing.ts'
import { ask, commands, exampleFor, exampleOf, type Input, spokenNames } from './mutate.ts'
import { digest, expectHealthy, expectRefusal, insides, makeWorld, type World } from './world.ts'

let server: TestServer
let world: World
/** Of the same workspace, but in none of it. */
let stranger: Person
/** Owns another workspace. */
let foreigner: Person
let lowly: Record<Role, Person>

beforeAll(async () => {
  server = await startServer()
  world = await makeWorld(server)
  stranger = await server.person('contact', 'eve')
  const elsewhere = await server.workspace()
  foreigner = await server.person('owner', 'fay', elsewhere.workspaceId)
  const people = roles.map(async (role) => [role, await server.person(role, `low ${role}`)] as const)
  lowly = Object.fromEntries(await Promise.all(people)) as Record<Role, Person>
})
afterAll(() => server[Symbol.asyncDispose]())

type Described = { operationId: OperationName; 'x-access': string; method: string; path: string }
const document = openApi('test') as {
  paths: Record<string, Record<string, Omit<Described, 'method' | 'path'>>>
}
/** What the document says exists: the walk starts from there, not from the code. */
const described: Described[] = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    ...operation,
    method: method.toUpperCase(),
    path,
  })),
)
const secured = described
  .filter((operation) => operation['x-access'] !== 'public')
  .map((it) => it.operationId)

/** Files have a form of their own, which the walk speaks too. */
async function call(name: OperationName, token: string | null, input: Input): Promise<Answer> {
  if (name === 'attachment.upload') {
    const form = new FormData()
    form.append('file', new Blob(['walked']), 'walk.txt')
    const response = await fetch(`${server.url}/api/v1/conversations/${input.conversationId}/attachments`, {
      ...{ method: 'POST', body: form },
      headers: token ? { authorization: `Bearer ${token}` } : {},
    })
    const answer = { status: response.status, headers: response.headers, body: await response.json() }
    requireDocumented('POST', new URL(response.url).pathname, answer)
    return answer
  }
  return ask(server.rest, name, input, token)
}

/** Fields that must differ for the request to be a sensible one of somebody else. */
const sensible: Partial<Record<OperationName, Input>> = {
  'conversation.create': { kind: 'group', inboxId: undefined, contactId: undefined },
  'workspace.create': { slug: 'walked' },
  'identityKey.create': { secret: randomBytes(32).toString('hex'), publicKey: undefined, jwksUrl: undefined },
}
const inputOf = (name: OperationName) => ({ ...exampleOf(name, world.known), ...sensible[name] })

test('the document has every operation, and the walk a way to ask for each', () => {
  expect(described.map((operation) => operation.operationId).sort()).toEqual([...operationNames].sort())
  const walked = [...spokenNames, 'attachment.upload', 'attachment.download']
  expect(walked.sort()).toEqual([...operationNames].sort())
})

describe('who may call an operation at all', () => {
  test('[A1] without a token, and with one that is garbage, everything that is not public is refused', async () => {
    const before = await digest(server)
    const garbage = [
      ...[null, 'garbage', 'pk_garbage', `${world.owner.token}x`, world.owner.token.slice(0, -3)],
      `${world.owner.token.split('.').slice(0, 2).join('.')}.`,
      'eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.',
    ]
    for (const name of secured) {
      for (const token of garbage) {
        expectRefusal(await call(name, token, inputOf(name)), 401, 'unauthenticated', `${name} ${token}`)
      }
    }
    expect(await digest(server)).toBe(before)
  })

  test('[A2] every role below the one named is told `forbidden`, and nothing happens', async () => {
    const before = await digest(server)
    let refused = 0
    for (const { operationId: name, 'x-access': access } of described) {
      const needed = roles.indexOf(access as Role)
      if (needed < 0) continue
      for (const role of roles.slice(needed + 1)) {
        expectRefusal(await call(name, lowly[role].token, inputOf(name)), 403, 'forbidden', `${name} ${role}`)
        refused++
      }
    }
    expect(refused).toBeGreaterThan(100)
    expect(await digest(server)).toBe(before)
  })

  test('[A1] public operations are these, and without proof each gives exactly this', async () => {
    /** The status for somebody with nothing in hand, and why that may be a success. */
    const open: Partial<Record<OperationName, [number, string]>> = {
      'setup.claim': [409, 'there is an owner already'],
      'auth.register': [403, 'the example asks for a role with a made-up invitation'],
      'auth.login': [401, 'there is no such account'],
      'auth.refresh': [401, 'made up'],
      'auth.exchange': [401, 'signed by nobody'],
      'widget.config': [200, 'a page draws the launcher before anybody is known'],
      'widget.session': [401, 'the example brings a forged identity'],
      'limits.get': [200, 'clients read it before they sign in'],
      'attachment.download': [404, 'the signature is made up'],
    }
    const isPublic = described.filter((operation) => operation['x-access'] === 'public')
    expect(isPublic.map((operation) => operation.operationId).sort()).toEqual(Object.keys(open).sort())
    const before = await digest(server)
    for (const { operationId: name } of isPublic) {
      const answer = await call(name, null, inputOf(name))
      const [status, why] = open[name] ?? [0, '']
      if (status >= 400) expectRefusal(answer, status, undefined, `${name}: ${why}`)
      else expect({ name, status: answer.status }).toEqual({ name, status })
    }
    expect(await digest(server)).toBe(before)
  })
})

/** What anybody signed in may do: about themselves, or answered with nothing of others. */
const ownAffairs: Partial<Record<OperationName, [number, string]>> = {
  'me.get': [200, 'about the caller'],
  'me.update': [200, 'about the caller'],
  'me.password': [401, 'about the caller, whose current password the example does not know'],
  'workspace.get': [200, 'the caller’s own workspace'],
  'conversation.list': [200, 'only what the caller may see'],
  'unread.get': [200, 'only what the caller may see'],
  'presence.get': [200, 'people one may not see are left out'],
  'presence.set': [204, 'about the caller'],
  'auth.logout': [204, 'about the caller'],
}

/** The same for who owns another workspace: these make or list things there. */
const ownWorkspace: Partial<Record<OperationName, [number, string]>> = {
  ...ownAffairs,
  'invitation.list': [200, 'those of the own workspace'],
  'identityKey.list': [200, 'those of the own workspace'],
  'apiKey.create': [201, 'made in the own workspace'],
  'apiKey.list': [200, 'those of the own workspace'],
  'workspace.update': [200, 'the own workspace'],
  'workspace.create': [403, 'only owners of the first workspace may'],
  'user.list': [200, 'those of the own workspace'],
  'inbox.create': [201, 'made in the own workspace'],
  'inbox.list': [200, 'those of the own workspace'],
  'contact.create': [201, 'made in the own workspace'],
  'contact.list': [200, 'those of the own workspace'],
  'audit.list': [200, 'of the own workspace'],
  'analytics.get': [200, 'of the own workspace'],
  'grant.list': [200, 'of the own workspace'],
}

/** Signing out comes last, or the rest would be refused for another reason. */
const inOrder = (names: OperationName[]) =>
  names.toSorted((a, b) => Number(a === 'auth.logout') - Number(b === 'auth.logout'))

const secrets = () => [
  ...Object.values(world.known)
    .flat()
    .filter((value) => /^[0-9a-f]{8}-/.test(String(value))),
  ...['the first line', 'an answer', world.known.widgetKey],
]

function expectNothingOfOthers(name: string, body: unknown, allowed: unknown[] = []): void {
  const text = JSON.stringify(body) ?? ''
  const leaked = secrets().filter((secret) => !allowed.includes(secret) && text.includes(String(secret)))
  expect({ name, leaked }).toEqual({ name, leaked: [] })
  expect(text, name).not.toMatch(insides)
}

const results = new Map(
  operationNames.flatMap((name) => {
    const { result } = operationOf(name)
    return result ? [[name, Compile(result)] as const] : []
  }),
)

describe('what belongs to others', () => {
  test('[A3] [A4] [E6] a stranger of the same workspace is told `not_found` for every id there is', async () => {
    const before = await digest(server)
    /** Reads as far as the caller; refused by rank before anything is looked up. */
    const forbidden: OperationName[] = described
      .filter(({ 'x-access': access }) => access !== 'public' && access !== 'user')
      .map((operation) => operation.operationId)
    const special: Partial<Record<OperationName, [number, string]>> = {
      ...ownAffairs,
      'grant.list': [403, 'the grants of another person are for admins'],
    }
    for (const name of inOrder(secured)) {
      const label = `${name} by a stranger`
      const answer = await call(name, stranger.token, inputOf(name))
      const [status] = special[name] ?? [forbidden.includes(name) ? 403 : 404]
      if (status >= 400) expectRefusal(answer, status, status === 404 ? 'not_found' : undefined, label)
      else expect({ label, status: answer.status }).toEqual({ label, status })
      expectNothingOfOthers(label, answer.body)
      if (answer.status < 300 && answer.body !== '')
        expect(results.get(name)?.Check(answer.body), label).toBe(true)
    }
    await expectUntouched(before)
  })

  test('[A5] [E6] the owner of another workspace is told `not_found`, and lists hold nothing from here', async () => {
    const before = await digest(server)
    for (const name of inOrder(secured)) {
      const label = `${name} by a foreign owner`
      const answer = await call(name, foreigner.token, inputOf(name))
      const [status] = ownWorkspace[name] ?? [404]
      if (status >= 400) expectRefusal(answer, status, status === 404 ? 'not_found' : undefined, label)
      else
        expect({ label, status: answer.status, body: status === answer.status ? '' : answer.body }).toEqual({
          label,
          status,
          body: '',
        })
      expectNothingOfOthers(label, answer.body)
      if (answer.status < 300 && answer.body !== '')
        expect(results.get(name)?.Check(answer.body), label).toBe(true)
    }
    await expectUntouched(before)
  })

  test('[A3] the same as commands: strangers and foreign owners get a failed reply with the same code', async () => {
    const eve = await server.person('contact', 'eve again')
    const { workspaceId } = await server.workspace()
    const fay = await server.person('owner', 'fay again', workspaceId)
    const before = await digest(server)
    for (const person of [eve, fay]) {
      const socket = await person.connect()
      for (const { name, fields } of commands) {
        const input = { ...exampleFor(fields, world.known), ...sensible[name as OperationName] }
        const { ok, error, result } = await socket.command(name, input)
        const label = `${name} by ${person.name}`
        expectNothingOfOthers(label, { error, result })
        if (own.has(name)) expect({ label, ok }).toEqual({ label, ok: true })
        else
          expect({ label, ok, code: (error as { code?: string })?.code }).toEqual({
            label,
            ok: false,
            code: refusalOf(name, person),
          })
      }
      expect(socket.heard.filter((frame) => !['welcome', 'reply', 'heartbeat'].includes(frame.type))).toEqual(
        [],
      )
      socket.close()
    }
    expect(await digest(server)).toBe(before)
    await expectHealthy(world)
  })

  const own = new Set([
    'conversation.list',
    'unread.get',
    'presence.get',
    'presence.set',
    'conversation.unfollow',
    'presence.watch',
  ])
  const refusalOf = (name: string, { name: who }: Person) => {
    const needsRank = described.some(
      ({ operationId, 'x-access': access }) => operationId === name && access !== 'user',
    )
    return who === 'eve again' && needsRank ? 'forbidden' : 'not_found'
  }

  test('[E8] what is not a command is `unknown_operation`, also when it is an operation', async () => {
    const socket = await world.owner.connect()
    const spoken = new Set(commands.map(({ name }) => name))
    const names = [
      ...operationNames.filter((name) => !spoken.has(name)),
      ...[
        'nothing',
        '',
        'constructor',
        '__proto__',
        'toString',
        'hello.x',
        'reply',
        'welcome',
        'message.created',
      ],
    ]
    for (const name of names) {
      const { ok, error } = await socket.command(name, {})
      expect({ name, ok, error }).toMatchObject({ name, ok: false, error: { code: 'unknown_operation' } })
    }
    socket.close()
  })
})

/** What strangers did shows only in their own rows. */
async function expectUntouched(before: string): Promise<void> {
  const tables = [
    'conversation ',
    'message ',
    'participant ',
    'receipt ',
    'attachment ',
    'access_grant ',
    'invitation ',
    'identity_key ',
    'inbox_member ',
  ]
  const of = (text: string) =>
    text.split('\n').filter((line) => tables.some((table) => line.startsWith(table)))
  expect(of(await digest(server))).toEqual(of(before))
  await expectHealthy(world)
}

describe('the document and the code', () => {
  /** Routes that are not operations, each with its reason. */
  const others: Record<string, string> = {
    'GET /health': 'for operators',
    'GET /ready': 'for operators',
    'GET /metrics': 'for operators',
    'GET /': 'the demo page',
    'GET /desk': 'the desk',
    'GET /desk*': 'the desk (Fastify prints /desk/* so)',
    'GET /docs': 'the API reference',
    'POST /api/v1/realtime/sse': 'SPEC T7',
    'POST /api/v1/realtime/poll': 'SPEC T8',
    'POST /api/v1/realtime/poll/{connectionId}': 'SPEC T8',
    'POST /api/v1/realtime/connections/{connectionId}': 'SPEC T7',
  }

  test('every route is in the document or on the list of others, and the reverse', () => {
    const routes = registered(server.running.http.printRoutes({ commonPrefix: false }))
      .filter((route) => !/^GET \/(docs|desk)(\/|\*$)/.test(route) || route in others)
      .filter((route) => !/^(OPTIONS|HEAD) /.test(route))
      // What dialects answer is in their own documents, shown by their own recordings.
      .filter((route) => !dialects.some(({ name }) => route.split(' ')[1]?.split('/')[1] === name))
    const expected = [
      ...Object.keys(others),
      ...described.map(({ method, path }) => `${method} /api/v1${path}`),
    ]
    expect([...new Set(routes)].sort()).toEqual([...new Set(expected)].sort())
  })

  test('[E9] refusals by what somebody is in a conversation, or by their page, are in the document', async () => {
    const { ana, sam, conversationId } = world
    const group = await ana.call('conversation.create', { kind: 'group', participantIds: [sam.userId] })
    const inGroup = { conversationId: group.conversation.id }
    const { id: messageId } = await sam.send(conversationId, 'of the team')
    const refused: [Person, OperationName, Input][] = [
      [ana, 'conversation.create', { kind: 'support', contactId: sam.userId }],
      [ana, 'conversation.update', { conversationId, priority: 1 }],
      [ana, 'participant.add', { conversationId, userId: sam.userId }],
      [ana, 'participant.remove', { conversationId, userId: sam.userId }],
      [ana, 'message.edit', { messageId, body: 'mine' }],
      [ana, 'message.retract', { messageId }],
      [ana, 'grant.list', { userId: sam.userId }],
    ]
    for (const [person, name, input] of refused)
      expectRefusal(await call(name, person.token, input), 403, 'forbidden', name)
    const bystander = await server.person('contact', 'a bystander')
    await world.owner.call('participant.add', { ...inGroup, userId: bystander.userId })
    expectRefusal(await call('conversation.close', bystander.token, inGroup), 403, 'forbidden')
    await world.owner.call('conversation.archive', inGroup)
    expectRefusal(await call('attachment.upload', ana.token, inGroup), 409, 'conversation_archived')
  })

  test('[E9] every operation of a user says that a visitor’s page may be refused', async () => {
    const { owner } = world
    const { id: inboxId, widgetKey } = await owner.call('inbox.create', { name: 'Pages' })
    const { body: visitor } = await call('widget.session', null, { widgetKey })
    await owner.call('inbox.update', { inboxId, origins: ['https://shop.example'] })
    await new Promise((resolve) => setTimeout(resolve, 2_100))
    for (const name of secured.filter((one) => operationOf(one).form === undefined)) {
      const { method, path } = operationOf(name)
      const answer = await server.rest(method, `/api/v1${path.replaceAll(/\{\w+\}/g, 'x')}`, {
        token: visitor.accessToken,
        headers: { origin: 'https://elsewhere.example' },
      })
      expectRefusal(answer, 403, 'origin_refused', name)
    }
  })

  test('[B7] every documented way to succeed gives what its schema says, null where a value is missing, for who may', async () => {
    let checked = 0
    for (const name of [
      'me.get',
      'workspace.get',
      'user.list',
      'inbox.list',
      'invitation.list',
      'apiKey.list',
      'identityKey.list',
      'audit.list',
      'analytics.get',
      'contact.list',
      'grant.list',
      'limits.get',
      'unread.get',
      'user.get',
      'inbox.get',
      'inboxMember.list',
      'conversation.list',
      'conversation.get',
      'participant.list',
      'message.list',
      'message.get',
      'message.revisions',
      'message.readers',
      'log.list',
      'receipt.list',
      'attachment.get',
      'widget.config',
    ] as const) {
      const fields = operationOf(name).params ?? {}
      const required = Object.fromEntries(
        Object.entries(operationOf(name).query ?? {}).filter(([, schema]) => !Type.IsOptional(schema)),
      )
      const answer = await call(name, world.owner.token, exampleFor({ ...fields, ...required }, world.known))
      const faults = [...(results.get(name)?.Errors(answer.body) ?? [])]
      expect({ name, status: answer.status, faults }).toEqual({ name, status: 200, faults: [] })
      checked++
    }
    expect(checked).toBe(
      operationNames.filter((name) => operationOf(name).method === 'GET' && !operationOf(name).form).length,
    )
  })
})

/** The tree that Fastify prints, as lines of `METHOD /path`. */
function registered(tree: string): string[] {
  const stack: string[] = []
  return tree.split('\n').flatMap((line) => {
    const [, indent, part, methods] =
      /^((?:│ {3}| {4})*)(?:├── |└── )(.*?)(?: \(([A-Z, ]+)\))?$/.exec(line) ?? []
    if (indent === undefined || part === undefined) return []
    const depth = indent.length / 4
    stack.length = depth
    stack[depth] = part
    const path = stack
      .join('')
      .replaceAll(/:(\w+)/g, '{$1}')
      .replace(/(.)\/$/, '$1')
    return (methods ?? '').split(', ').flatMap((method) => (method ? [`${method} ${path}`] : []))
  })
}
