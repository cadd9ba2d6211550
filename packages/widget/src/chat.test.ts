import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { fakeClient } from '../test/fake-client.ts'

let client = fakeClient()
vi.mock('@parley/client', async (original) => ({
  ...(await original<object>()),
  connect: () => client.connect(),
  visitorSession: () => client.visitorSession(),
}))
const { openChat } = await import('./chat.ts')

const open = () =>
  openChat({ baseUrl: '', widgetKey: 'k', identity: null, storage: client.storage, heard: () => {} })
const settled = () => vi.advanceTimersByTimeAsync(10)
const bodies = (chat: ReturnType<typeof open>) =>
  chat.get().messages.map((one) => `${one.body} (${one.status})`)

beforeEach(() => {
  vi.useFakeTimers()
  vi.stubGlobal('window', new EventTarget())
  client = fakeClient()
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

test('the first message opens a conversation and goes into it; a double click is one message', async () => {
  const chat = open()
  client.goLive()
  chat.send('hello', 'm1')
  chat.send('hello', 'm1')
  await settled()
  expect(client.keys).toEqual(['first:i1'])
  expect(client.conversation('c1').sent).toEqual(['hello'])
  expect(bodies(chat)).toEqual(['hello (sending)'])
})

test('nothing opens a conversation before the visitor has written', async () => {
  open()
  client.goLive()
  await settled()
  expect(client.keys).toEqual([])
})

test('what is written offline waits, outlives the page, and goes out once when there is a connection', async () => {
  const before = open()
  before.send('are you there?', 'm1')
  before.send('hello?', 'm2')
  expect(bodies(before)).toEqual(['are you there? (queued)', 'hello? (queued)'])
  before.close()

  client = fakeClient(client.storage)
  const after = open()
  expect(bodies(after)).toEqual(['are you there? (queued)', 'hello? (queued)'])
  client.goLive()
  await settled()
  expect(client.conversation('c1').sent).toEqual(['are you there?', 'hello?'])
  expect(client.keys).toEqual(['first:i1'])
})

test('a lost answer and a second tab ask for the same conversation', async () => {
  const chat = open()
  client.goLive()
  client.loseAnswers(true)
  chat.send('hello', 'm1')
  await settled()
  client.loseAnswers(false)
  await vi.advanceTimersByTimeAsync(5_000)
  const tab = open()
  tab.send('and more', 'm2')
  await settled()
  expect(new Set(client.keys)).toEqual(new Set(['first:i1']))
  expect(client.conversation('c1').sent).toEqual(['hello', 'and more'])
})

test('a conversation that is there already is continued', async () => {
  const chat = open()
  client.goLive([{ id: 'old', status: 'open' }])
  chat.send('me again', 'm1')
  await settled()
  expect(client.keys).toEqual([])
  expect(client.conversation('old').sent).toEqual(['me again'])
})

test('a message that a closed conversation refuses goes into a new one', async () => {
  const chat = open()
  client.goLive([{ id: 'old', status: 'closed' }])
  chat.send('one more thing', 'm1')
  client.conversation('old').refuse('m1', 'conversation_closed')
  await settled()
  expect(client.keys).toEqual(['after:old'])
  expect(client.conversation('c1').sent).toEqual(['one more thing'])
  expect(client.conversation('old').get().messages).toEqual([])
  expect(chat.get().conversation?.id).toBe('c1')
})

test('another refusal stays where it is and says why', async () => {
  const chat = open()
  client.goLive([{ id: 'old', status: 'open' }])
  chat.send('x', 'm1')
  client.conversation('old').refuse('m1', 'invalid_request')
  await settled()
  expect(bodies(chat)).toEqual(['x (failed)'])
  chat.retry('m1')
  expect(client.conversation('old').retry).toHaveBeenCalledWith('m1')
  chat.discard('m1')
  expect(bodies(chat)).toEqual([])
})

test('a refused message goes back to whoever composes, and stays where it is while nobody does', async () => {
  const chat = open()
  client.goLive([{ id: 'old', status: 'open' }])
  chat.send('x', 'm1')
  client.conversation('old').refuse('m1', 'invalid_request')
  await settled()
  chat.takeBack('m1')
  expect(bodies(chat)).toEqual(['x (failed)'])
  const taken: string[] = []
  chat.onTakenBack(({ body }) => taken.push(body))
  chat.takeBack('m1')
  expect(taken).toEqual(['x'])
  expect(bodies(chat)).toEqual([])
})

test('what was on its way when the connection went is shown as waiting', () => {
  const chat = open()
  client.goLive([{ id: 'old', status: 'open' }])
  chat.send('hello', 'm1')
  expect(bodies(chat)).toEqual(['hello (sending)'])
  client.goOffline()
  expect(chat.get().connection).toBe('unreachable')
  expect(bodies(chat)).toEqual(['hello (queued)'])
})
