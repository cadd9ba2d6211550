import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Person, startServer, type TestServer } from '../src/testing.ts'
import { digest, expectRefusal } from './world.ts'

const secret = 'a registration secret for scripts'
let server: TestServer
let demo: TestServer
let owner: Person

beforeAll(async () => {
  server = await startServer({ env: { REGISTRATION_SECRET: secret } })
  demo = await startServer({ env: { REGISTRATION_SECRET: secret }, args: ['--demo'] })
  owner = await server.person('owner')
})
afterAll(() => Promise.all([server[Symbol.asyncDispose](), demo[Symbol.asyncDispose]()]))

type Mode = 'customer_only' | 'invite' | 'pending' | 'closed' | 'open_demo'
/** The role that somebody has afterwards, or the status of the refusal. */
type Cell = 'contact' | 'as asked' | 403

/** Promises §5, row by row: the lowest role, a privileged one without a grant, and with one. */
const table: [Mode, Cell, Cell, Cell][] = [
  ['customer_only', 'contact', 403, 'as asked'],
  ['invite', 403, 403, 'as asked'],
  ['pending', 'contact', 'contact', 'as asked'],
  ['closed', 403, 403, 403],
  ['open_demo', 'contact', 'as asked', 'as asked'],
]

let count = 0
const somebody = (more: object = {}) => ({
  ...{ name: 'New', email: `mode${++count}@example.com`, password: 'correct horse' },
  ...more,
})

describe.each(table)('[A9] registration %s', (mode, lowest, privileged, granted) => {
  const here = () => (mode === 'open_demo' ? demo : server)

  beforeAll(async () => {
    if (mode !== 'open_demo') await owner.call('workspace.update', { registration: mode })
  })

  async function expectCell(cell: Cell, body: Record<string, unknown>, headers: Record<string, string> = {}) {
    const before = await digest(here())
    const answer = await here().rest('POST', '/api/v1/auth/register', { body, headers })
    if (cell === 403) {
      expectRefusal(answer, 403, 'registration_refused', JSON.stringify(body))
      expect(await digest(here())).toBe(before)
      return
    }
    const role = cell === 'as asked' ? body.role : cell
    expect({ body, status: answer.status, role: answer.body.user?.role }).toEqual({ body, status: 201, role })
    const me = await here().rest('GET', '/api/v1/me', { token: answer.body.tokens.accessToken })
    expect(me.body.user.role).toBe(role)
  }

  test(`the lowest role, asked for or not: ${lowest}`, async () => {
    await expectCell(lowest, somebody())
    await expectCell(lowest, somebody({ role: 'contact' }))
  })

  test(`a privileged role without a grant: ${privileged}`, async () => {
    for (const role of ['agent', 'supervisor', 'admin']) await expectCell(privileged, somebody({ role }))
  })

  test(`a privileged role with a grant, in every form of it: ${granted}`, async () => {
    await expectCell(granted, somebody({ role: 'admin' }), { 'x-registration-secret': secret })
    await expectCell(granted, somebody({ role: 'agent', registrationSecret: secret }))
    const inviter = mode === 'open_demo' ? await demo.person('owner') : owner
    const { token: invitation } = await inviter.call('invitation.create', { role: 'supervisor' })
    await expectCell(granted, somebody({ role: 'supervisor', invitation }))
  })

  test('a grant that is none opens nothing that was not open', async () => {
    if (mode === 'open_demo') return
    const forged: [object, Record<string, string>][] = [
      [{ role: 'admin', registrationSecret: `${secret}!` }, {}],
      [{ role: 'admin' }, { 'x-registration-secret': secret.slice(1) }],
      [{ role: 'agent', invitation: 'made-up' }, {}],
      [{ role: 'owner', registrationSecret: secret }, {}],
    ]
    for (const [more, headers] of forged) {
      const before = await digest(server)
      const answer = await server.rest('POST', '/api/v1/auth/register', { body: somebody(more), headers })
      expectRefusal(answer, 403, 'registration_refused', JSON.stringify(more))
      expect(await digest(server)).toBe(before)
    }
  })
})
