/**
 * The Parley client: a connection, a log of events, and stores folded from it. For browsers and Node 22+.
 *
 * ```ts
 * import { browserStorage, connect, visitorSession } from '@parley/client'
 * import { staffSession } from '@parley/client/staff'
 *
 * const storage = browserStorage()
 * const session = visitorSession({ baseUrl, widgetKey, storage })          // or staffSession({ baseUrl, storage })
 * const parley = connect({ baseUrl, credentials: session, storage })
 *
 * const conversation = parley.conversation(id)                             // one object per id
 * const stop = conversation.subscribe(() => draw(conversation.get()))      // loads, follows, resumes while subscribed
 * conversation.send({ body: 'Hello' })                                     // shown at once; stored, kept and retried
 *
 * useSyncExternalStore(parley.list.subscribe, parley.list.get)             // ListView: rows, unread, phase
 * await parley.call('conversation.close', { conversationId: id })          // every operation of the API, typed
 * parley.close()
 * ```
 *
 * Every store has `get()` (an immutable snapshot, the same object until it changes) and `subscribe(listener)`.
 * `state`: ConnectionState · `me` · `list` and `lists(query)`: ListView · `conversation(id)`: ConversationView with
 * send, note, retry, discard, upload, edit, retract, react, loadEarlier, markRead, setTyping · `presence`.
 * The shapes and what each field means: `api.ts`.
 */
export type * from './api.ts'
export { connect } from './client.ts'
export { ParleyError, type ParleyErrorCode } from './error.ts'
export { newId } from './new-id.ts'
export { type VisitorSession, type VisitorSessionOptions, visitorSession } from './session.ts'
export { browserStorage, memoryStorage } from './storage.ts'
export type { Store } from './store.ts'
