import { describe, expect, test } from 'vitest'
import { visitorSession } from './session.ts'
import { staffSession } from './staff.ts'
import { memoryStorage } from './storage.ts'

type Asked = { path: string; body: Record<string, unknown> }

/** A server of sessions: refresh tokens are good once. */
function setting() {
  const asked: Asked[] = []
  let n = 0
  let good = ''
  const tokens = () => {
    n++
    good = `refresh${n}`
    return { accessToken: `access${n}`, refreshToken: good, expiresAt: '2026-01-01T00:00:00.000Z' }
  }
  const fetch = async (url: string | URL | Request, init?: RequestInit) => {
    const path = String(url).replace('http://x/api/v1', '')
    const body = JSON.parse(String(init?.body ?? '{}'))
    asked.push({ path, body })
    await new Promise((done) => setTimeout(done, 5))
    if (path === '/auth/login')
      return Response.json({ user: { id: 'sam' }, workspace: { id: 'w' }, tokens: tokens() })
    if (path === '/auth/refresh') {
      if (body.refreshToken === good) return Response.json(tokens())
      return Response.json(
        { error: { code: 'refresh_reused', message: 'Ended.', retry: false } },
        { status: 401 },
      )
    }
    if (path.startsWith('/widget/')) {
      const visitorToken = body.visitorToken ?? `visitor${++n}`
      return Response.json(
        { user: { id: 'ana' }, inboxId: 'i', visitorToken, accessToken: `a${++n}` },
        { status: 201 },
      )
    }
    return new Response(null, { status: 204 })
  }
  return { asked, fetch: fetch as typeof globalThis.fetch, baseUrl: 'http://x' }
}

describe('a staff session', () => {
  test('signs in, survives a reload, and signs out', async () => {
    const { fetch, baseUrl } = setting()
    const storage = memoryStorage()
    const session = staffSession({ baseUrl, fetch, storage })
    await expect(session.accessToken()).rejects.toMatchObject({ code: 'unauthenticated', retry: false })
    await session.login({ email: 'sam@example.com', password: 'secret-secret' })
    expect(session.state.get()).toMatchObject({ state: 'signed-in', user: { id: 'sam' } })
    const reloaded = staffSession({ baseUrl, fetch, storage })
    expect(reloaded.userId?.()).toBe('sam')
    expect(await reloaded.accessToken()).toBe('access1')
    await reloaded.logout()
    expect(reloaded.state.get()).toEqual({ state: 'signed-out' })
  })

  test('many who are refused at once, in two tabs, swap the refresh token once', async () => {
    const { fetch, baseUrl, asked } = setting()
    const storage = { ...memoryStorage(), shared: true }
    const one = staffSession({ baseUrl, fetch, storage })
    await one.login({ email: 'sam@example.com', password: 'secret-secret' })
    const two = staffSession({ baseUrl, fetch, storage })
    const got = await Promise.all([one, one, two, two].map((tab) => tab.accessToken('access1')))
    expect(got).toEqual(['access2', 'access2', 'access2', 'access2'])
    expect(asked.filter((one) => one.path === '/auth/refresh')).toHaveLength(1)
  })

  test('a session that the server ended is signed out here', async () => {
    const { fetch, baseUrl } = setting()
    const storage = memoryStorage()
    const session = staffSession({ baseUrl, fetch, storage })
    await session.login({ email: 'sam@example.com', password: 'secret-secret' })
    const old = storage.get('parley:session') ?? ''
    await session.accessToken('access1')
    storage.set('parley:session', old)
    await expect(session.accessToken('access1')).rejects.toMatchObject({ code: 'refresh_reused' })
    expect(session.state.get()).toEqual({ state: 'signed-out' })
  })
})

describe('a visitor session', () => {
  test('stays the same visitor over reloads, until forgotten', async () => {
    const { fetch, baseUrl, asked } = setting()
    const storage = memoryStorage()
    const open = () => visitorSession({ baseUrl, fetch, storage, widgetKey: 'key12345' })
    const first = open()
    const [a, b] = await Promise.all([first.accessToken(), first.accessToken()])
    expect(a).toBe(b)
    expect(asked).toHaveLength(1)
    expect(first.state.get()).toEqual({ user: { id: 'ana' }, inboxId: 'i' })
    await open().accessToken()
    expect(asked[1]?.body.visitorToken).toBe('visitor1')
    const third = open()
    third.forget()
    await third.accessToken()
    expect(asked[2]?.body.visitorToken).toBeUndefined()
  })

  test('a refused token is replaced, with a fresh identity', async () => {
    const { fetch, baseUrl, asked } = setting()
    let n = 0
    const session = visitorSession({
      baseUrl,
      fetch,
      widgetKey: 'key12345',
      identity: async () => `jwt${++n}`,
    })
    const token = await session.accessToken()
    expect(await session.accessToken()).toBe(token)
    expect(await session.accessToken(token)).not.toBe(token)
    expect(asked.map((one) => one.body.identity)).toEqual(['jwt1', 'jwt2'])
  })
})
