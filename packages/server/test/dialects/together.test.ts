import type { Message } from '@parley/protocol'
import type { Socket } from 'socket.io-client'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startServer, type TestServer, TestSocket } from '../../src/testing.ts'
import { readOverRest } from '../final-reads.ts'
import { check } from '../history.ts'
import { Recorder } from '../history-lines.ts'
import { keepFollowing, keepSending, Stage, untilCaughtUp } from '../stage.ts'
import { type Cast, doorsOf, makeCast, settings } from './cast.ts'
import { asSent, keepSpeaking, numbersIn } from './speaking.ts'
import { connectIo, type Frame, inRoom, RawLine, speakersOf } from './voices.ts'

/*
 * What can share one conversation: ServiceHub, Priyo, CareForAll and Live Support do, with the native API (`cast.ts`
 * says who is who). A TutorGo conversation is of two people and nobody else can come in, so it is a second one, which
 * CareForAll clients of the same two people and a native client read.
 */

/** How many messages everybody sends in each way. */
const each = 12

let server: TestServer
let cast: Cast
let door: ReturnType<typeof doorsOf>

beforeAll(async () => {
  server = await startServer(settings)
  cast = await makeCast(server)
  door = doorsOf(server)
}, 60_000)
afterAll(() => server[Symbol.asyncDispose]())

test('all five dialects at once: order, receipts and unread agree in all of them, and nothing is wrong with the history', async () => {
  const { olga, cora, sam, sue, shared } = cast
  const recorder = new Recorder()
  const stage = new Stage(recorder)
  stage.up(server.url)
  const { conversation } = await sue.call('conversation.create', {
    kind: 'direct',
    participantIds: [cast.tom.userId],
  })
  const pairId = conversation.id
  const places = { shared: shared.id, pair: pairId }
  const followers = [
    keepFollowing(stage, { who: olga, way: 'websocket', conversations: [shared.id], sees: 'agents' }),
    keepFollowing(stage, { who: cora, way: 'websocket', conversations: [shared.id], sees: 'everyone' }),
    keepFollowing(stage, { who: sue, way: 'sse', conversations: [pairId], sees: 'everyone' }),
  ]
  const socket = await TestSocket.open(server.url, {
    token: sam.token,
    follow: [{ conversationId: shared.id, after: 0 }],
  })
  const ears = await listen(pairId)
  const before = await stored(shared.id)
  await Promise.all([
    keepSending(stage, { who: sam, way: 'websocket', conversation: shared.id, most: each }),
    ...speakersOf(cast).map((speaker) =>
      keepSpeaking(stage, { speaker, conversation: places[speaker.conversation], most: each }),
    ),
  ])

  // Order: as the log has it, on every socket and in every history.
  const all = await stored(shared.id)
  const order = all.slice(before.length).map((message) => message.body)
  expect(order).toHaveLength(8 * each)
  for (const [name, heard] of Object.entries(ears.inShared)) {
    await expect.poll(() => bodiesIn(heard(), order), { message: name, timeout: 5_000 }).toEqual(order)
  }
  expect(
    socket
      .entries(shared.id)
      .flatMap(({ body }) => body ?? [])
      .filter((body) => order.includes(body)),
  ).toEqual(order)
  for (const [name, history] of Object.entries(await histories())) {
    expect({ name, bodies: bodiesIn(history, order) }).toEqual({ name, bodies: order })
  }
  const said = (await stored(pairId, sue)).map((message) => message.body)
  expect(said).toHaveLength(2 * each)
  for (const [name, heard] of Object.entries(ears.inPair))
    await expect.poll(() => heard(), { message: name, timeout: 5_000 }).toEqual(said)
  for (const [name, history] of Object.entries(await historiesOfPair(pairId)))
    expect({ name, bodies: history }).toEqual({ name, bodies: said })

  await expectSameUnread(pairId)
  await expectSameReceipts(pairId, ears)

  for (const id of Object.values(places))
    await readOverRest(recorder, server.url, id, { who: olga, sees: 'agents' })
  await readOverRest(recorder, server.url, shared.id, { who: cora, sees: 'everyone' })
  await readOverRest(recorder, server.url, pairId, { who: sue, sees: 'everyone' })
  expect(await untilCaughtUp(recorder, followers)).toEqual([])
  stage.isOver = true
  await Promise.all(followers.map((follower) => follower.stop()))
  const verdict = check(asSent(recorder.lines, await numbersIn(server.running.parley.chat)), 0)
  expect(verdict).toMatchObject({ valid: true, firstViolations: [] })
  ears.close()
  socket.close()
}, 60_000)

type Ears = Awaited<ReturnType<typeof listen>>

/** Somebody on a socket of each dialect, who only listens: what they heard said, in order. */
async function listen(pairId: string) {
  const { cora, candidate, sam, pia, carl, sue, tom, shared } = cast
  const servicehub = async (token: string) => {
    const line = await RawLine.open(`${server.url}/servicehub?token=${token}`)
    await line.hears((frame) => frame.type === 'WELCOME')
    return line
  }
  const careforall = async (token: string, id: string) => {
    const line = await RawLine.open(`${server.url}/careforall/ws/conversations/${id}?token=${token}`)
    await line.hears((frame) => frame.type === 'system')
    return line
  }
  const [customer, agent, admin, student, room] = await Promise.all([
    servicehub(cora.key),
    servicehub(sam.key),
    careforall(carl.key, shared.careforall),
    careforall(sue.key, `conv_${pairId}`),
    inRoom(server.url, candidate, shared.livesupport),
  ])
  const member = await connectIo(`${server.url}/priyo`, pia)
  const atPriyo = recorded(member)
  await member.timeout(5_000).emitWithAck('conversation:join', shared.priyo)
  const tutor = await connectIo(`${server.url}/tutorgo`, tom)
  const atTutorGo = recorded(tutor)
  const bodies = (frames: Frame[], fits: (frame: Frame) => boolean, body: (frame: Frame) => string) => () =>
    frames.filter(fits).map(body)
  const isNew = ({ type }: Frame) => type.startsWith('NEW_MESSAGE_BY_')
  const isReceived = ({ type }: Frame) => type === 'message_received'
  return {
    inShared: {
      customer: bodies(customer.heard, isNew, (frame) => frame.message.body),
      agent: bodies(agent.heard, isNew, (frame) => frame.message.body),
      admin: bodies(admin.heard, isReceived, (frame) => frame.content),
      member: bodies(
        atPriyo,
        ([name]) => name === 'message:new',
        ([, frame]) => frame.content,
      ),
      room: bodies(
        room.heard,
        ({ event }) => event === 'NEW_MESSAGE',
        ({ data }) => data.content,
      ),
    },
    inPair: {
      student: bodies(student.heard, isReceived, (frame) => frame.content),
      tutor: bodies(
        atTutorGo,
        ([name]) => name === 'new-message' || name === 'message-sent',
        ([, frame]) => frame.message,
      ),
    },
    ...{ customer, agent, admin, atPriyo, atTutorGo },
    close: () => {
      for (const line of [customer, agent, admin, student, room]) line.close()
      for (const socket of [member, tutor]) socket.disconnect()
    },
  }
}

function recorded(socket: Socket): Frame[] {
  const heard: Frame[] = []
  socket.onAny((...args) => heard.push(args))
  return heard
}

/** What each dialect shows of the shared conversation to whoever asks later. */
async function histories(): Promise<Record<string, Frame[]>> {
  const { cora, candidate, sam, pia, carl, shared } = cast
  const [customer, agent, admin, member, room] = await Promise.all([
    door.get(`/servicehub/conversations/${shared.servicehub}/messages`, cora.key),
    door.get(`/servicehub/conversations/${shared.servicehub}/messages`, sam.key),
    door.get(`/careforall/api/conversations/${shared.careforall}/messages?limit=100`, carl.key),
    door.get(`/priyo/api/messages/${shared.priyo}?limit=200`, pia.key),
    door.get(`/livesupport/conversations/${shared.livesupport}`, candidate.key),
  ])
  return {
    customer,
    agent,
    admin: admin.data.messages,
    member: member.messages,
    room: room.data.messages,
  }
}

async function historiesOfPair(pairId: string): Promise<Record<string, string[]>> {
  const { sue, tom, pair } = cast
  const [student, tutor] = await Promise.all([
    door.get(`/careforall/api/conversations/conv_${pairId}/messages?limit=100`, sue.key),
    door.get(`/tutorgo/chat/messages/${pair}?limit=200`, tom.key),
  ])
  return {
    student: student.data.messages.map((message: Frame) => message.content),
    // Newest first, as ever.
    tutor: tutor.map((message: Frame) => message.message).reverse(),
  }
}

const textOf = (message: Frame): string =>
  typeof message === 'string' ? message : (message.body ?? message.content)
const bodiesIn = (heard: Frame[], order: string[]) => heard.map(textOf).filter((body) => order.includes(body))

async function stored(conversationId: string, who = cast.olga): Promise<Message[]> {
  return (await who.call('message.list', { conversationId, after: 0, limit: 200 })).messages
}

async function unreadOf(who: Cast['cora'], conversationId: string): Promise<number | undefined> {
  const { conversations } = await who.call('conversation.list', {})
  return conversations.find(({ conversation }) => conversation.id === conversationId)?.unread
}

/** Nobody has read anything yet, and some have written. */
async function expectSameUnread(pairId: string): Promise<void> {
  const { cora, pia, carl, sue, tom, shared, pair } = cast
  const { customer = [] } = await histories()
  const unread = customer.filter((message) => !message.readByCustomer).length
  expect(unread).toBeGreaterThan(each)
  expect(await unreadOf(cora, shared.id)).toBe(unread)
  const { conversations } = await door.get('/priyo/api/conversations', pia.key)
  const ofPia = conversations.find(({ id }: Frame) => id === shared.priyo).unreadCount
  expect(ofPia).toBeGreaterThan(each)
  expect(await unreadOf(pia, shared.id)).toBe(ofPia)
  expect((await careforallRow(carl, shared.careforall)).unreadCount).toBe(await unreadOf(carl, shared.id))
  for (const who of [sue, tom]) {
    const rows = await door.get(`/tutorgo/chat/conversations/${who.id}`, who.key)
    expect(rows.map(({ id, unreadCount }: Frame) => ({ id, unreadCount }))).toEqual([
      { id: pair, unreadCount: each },
    ])
    expect((await careforallRow(who, `conv_${pairId}`)).unreadCount).toBe(each)
    expect(await unreadOf(who, pairId)).toBe(each)
  }
}

async function careforallRow(who: Cast['carl'], name: string): Promise<Frame> {
  const { data } = await door.get('/careforall/api/conversations?limit=100', who.key)
  return data.conversations.find(({ conversationId }: Frame) => conversationId === name)
}

/** One reads through each dialect; the others, and the native API, say so of the same messages. */
async function expectSameReceipts(pairId: string, ears: Ears): Promise<void> {
  const { olga, cora, pia, carl, sue, tom, shared, pair } = cast
  const { lastSeq } = await olga.call('message.list', { conversationId: shared.id, limit: 1 })
  const readBy = async (userId: string, conversationId: string) =>
    (await olga.call('receipt.list', { conversationId })).receipts.find(
      (receipt) => receipt.userId === userId,
    )?.read

  // The customer, in ServiceHub.
  await door.patch(`/servicehub/conversations/${shared.servicehub}/markAllAsRead/CUSTOMER`, cora.key)
  expect(await unreadOf(cora, shared.id)).toBe(0)
  expect(await readBy(cora.userId, shared.id)).toBe(lastSeq)
  await ears.admin.hears(({ type, userId }) => type === 'read_receipt' && userId === cora.userId)
  await ears.agent.hears(({ type }) => type === 'UPDATED_READ_STATUS_OF_CUSTOMER')
  const { customer = [], admin = [], member = [] } = await histories()
  const ofOthers = (message: Frame) => message.sender?.username !== 'cora' && message.senderId !== cora.userId
  expect(customer.every((message) => message.readByCustomer)).toBe(true)
  expect(
    admin.filter(ofOthers).every(({ readBy: who }) => who.some((one: Frame) => one.userId === cora.userId)),
  ).toBe(true)
  expect(
    member.filter(ofOthers).every(({ reads }) => reads.some((one: Frame) => one.user.username === 'cora')),
  ).toBe(true)
  const newest = member.findLast(ofOthers)
  await expect
    .poll(() =>
      ears.atPriyo.some(([name, frame]: Frame) => name === 'message:read' && frame.messageId === newest.id),
    )
    .toBe(true)

  // The admin, in CareForAll: for ServiceHub that is the side of the agents.
  expect(
    customer.filter((message) => message.sender.username === 'cora').every((one) => one.readByAgents),
  ).toBe(false)
  await door.put(`/careforall/api/conversations/${shared.careforall}/read`, carl.key)
  expect(await readBy(carl.userId, shared.id)).toBe(lastSeq)
  await ears.customer.hears(({ type }) => type === 'UPDATED_READ_STATUS_OF_AGENTS')
  expect((await histories()).customer?.every((message) => message.readByAgents)).toBe(true)
  expect((await careforallRow(carl, shared.careforall)).unreadCount).toBe(0)

  // The agent, in Priyo.
  await door.post('/priyo/api/messages/read', { messageIds: member.map(({ id }) => id) }, pia.key)
  expect(await unreadOf(pia, shared.id)).toBe(0)
  expect(await door.get('/priyo/api/messages/unread/count', pia.key)).toEqual({ unreadCount: 0 })

  // The student, in TutorGo.
  await door.patch(`/tutorgo/chat/conversations/${pair}/read`, sue.key)
  expect(await unreadOf(sue, pairId)).toBe(0)
  expect((await careforallRow(sue, `conv_${pairId}`)).unreadCount).toBe(0)
  const rows = await door.get(`/tutorgo/chat/messages/${pair}?limit=200`, tom.key)
  expect(rows.filter(({ senderId }: Frame) => senderId === tom.id).every((row: Frame) => row.read)).toBe(true)
  expect(rows.filter(({ senderId }: Frame) => senderId === sue.id).some((row: Frame) => row.read)).toBe(false)
  await expect.poll(() => ears.atTutorGo.filter(([name]: Frame) => name === 'message-read').length).toBe(each)
}
