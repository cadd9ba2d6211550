import type { LogEvent, ParticipantRole, Visibility } from '@parley/protocol'
import { worksIn } from '../chat/access.ts'
import { type Actor, isAdmin, isStaff } from '../chat/actor.ts'
import type { Announcement } from '../chat/chat.ts'
import type { Participation } from '../chat/participants.ts'
import { Frame } from './frame.ts'
import { Index } from './index-of.ts'
import type { Listener, LogReader } from './listener.ts'
import { Tail } from './tail.ts'

/** A conversation, and where in the workspace it is. */
type Place = { workspaceId: string; id: string; inboxId: string | null }

/**
 * Who on this node hears what. Two kinds of interest: a *feed* hears the log of every conversation in somebody's
 * lists as it happens; a *follow* hears one conversation from a position, without a gap, and its receipts and typing.
 * All of it starts from announcements, which are hints; see `Tail` for how a lost one is found.
 */
export class Hub {
  readonly #read: LogReader
  readonly #onFault: (error: unknown, conversationId: string) => void
  readonly #tails = new Map<string, Tail>()
  readonly #byUser = new Index<Listener>()
  readonly #feedByConversation = new Index<Listener>()
  readonly #feedByInbox = new Index<Listener>()
  readonly #feedByWorkspace = new Index<Listener>()
  readonly #participating = new Map<Listener, Map<string, ParticipantRole>>()
  readonly #inboxes = new Map<Listener, readonly string[]>()
  /** What happens to somebody's participation while it is being read, by person. */
  readonly #meanwhile = new Index<Map<string, ParticipantRole | null>>()
  /** Conversations in which something may have been written that was not announced. */
  readonly #uncertain = new Set<string>()
  readonly #following = new Map<Listener, Set<string>>()

  /** `onFault` hears why a log cannot be read, unless the store is only away. */
  constructor(read: LogReader, onFault: (error: unknown, conversationId: string) => void) {
    this.#read = read
    this.#onFault = onFault
  }

  /**
   * Begins to listen, or goes on with what the person may hear now. `read` finds the conversations they take part in; null
   * for no feed, undefined if nobody listens any more. Whoever comes in or leaves while it is being read counts, too.
   * Resolves with what they took part in before and do not now.
   */
  async attach(
    listener: Listener,
    { userId }: Pick<Actor, 'userId'>,
    read: () => Promise<readonly Participation[] | null | undefined>,
  ): Promise<string[]> {
    const meanwhile = new Map<string, ParticipantRole | null>()
    this.#meanwhile.add(userId, meanwhile)
    try {
      const found = await read()
      if (found === undefined) return []
      this.#byUser.add(userId, listener)
      return found ? this.#replaceFeed(listener, found, meanwhile) : []
    } finally {
      this.#meanwhile.remove(userId, meanwhile)
    }
  }

  detach(listener: Listener): void {
    this.#byUser.remove(listener.actor.userId, listener)
    this.#closeFeed(listener)
    for (const id of this.followed(listener)) this.unfollow(listener, id)
  }

  /**
   * Follows a conversation from a position; the caller has checked that the listener may. Resolves with the position
   * reached when the listener is live, `ahead` when the log is shorter than the position, null if it was ended.
   */
  async follow(
    listener: Listener,
    conversation: { workspaceId: string; id: string },
    after: number,
    sees: Visibility,
  ): Promise<number | 'ahead' | null> {
    const following = this.#following.get(listener) ?? new Set()
    this.#following.set(listener, following.add(conversation.id))
    return this.#tailOf(conversation).follow(listener, after, sees)
  }

  unfollow(listener: Listener, conversationId: string): void {
    const following = this.#following.get(listener)
    if (following?.delete(conversationId) && following.size === 0) this.#following.delete(listener)
    const tail = this.#tails.get(conversationId)
    if (!tail) return
    // Entries that came while it was reading were left to the reading: its list is told the row instead.
    if (tail.unfollow(listener) === 'reading') listener.gained(conversationId)
    this.#forgetIfIdle(tail)
  }

  /** What a follower may see of a conversation has changed, or not. */
  see(listener: Listener, conversationId: string, sees: Visibility): void {
    this.#tails.get(conversationId)?.see(listener, sees)
  }

  /** The conversations that a listener follows. */
  followed(listener: Listener): string[] {
    return [...(this.#following.get(listener) ?? [])]
  }

  listenersOf(userId: string): ReadonlySet<Listener> {
    return this.#byUser.get(userId)
  }

  /** Workspaces that somebody on this node listens to. */
  workspaces(): string[] {
    const found = new Set<string>()
    for (const listener of this.#byUser.members()) found.add(listener.actor.workspaceId)
    return [...found]
  }

  hear(announcement: Announcement): void {
    switch (announcement.type) {
      case 'logged':
        return this.#logged(announcement)
      case 'receipt':
        return this.#receipt(announcement)
      case 'access':
        void this.recheck(announcement.userIds)
        return
      case 'uncertain':
        for (const conversationId of announcement.conversationIds) this.#uncertain.add(conversationId)
        return
      case 'typing':
        return this.#typing(announcement)
    }
  }

  /** Resolves when all listeners of these people have looked again at what they may do. */
  async recheck(userIds: readonly string[]): Promise<void> {
    const listeners = userIds.flatMap((userId) => [...this.#byUser.get(userId)])
    await Promise.all(listeners.map((listener) => listener.recheck()))
  }

  /**
   * The sweep found that a conversation has reached a position; whoever was not told how is told now. Resolves when they
   * have been.
   */
  async reached(conversation: Place, seq: number): Promise<void> {
    const tail = this.#tails.get(conversation.id)
    const told: unknown[] = [tail?.reach(seq)]
    // A tail begins with the first entry that is announced: one before it may have been written without a word.
    if (this.#uncertain.delete(conversation.id) || !tail?.isKnown) {
      this.#eachFeed(conversation, (listener) => told.push(listener.gained(conversation.id)))
    }
    await Promise.all(told)
  }

  /** The sweep found marks; tells followers those they have not heard. */
  marked(conversationId: string, userId: string, delivered: number, read: number): boolean {
    return this.#tails.get(conversationId)?.isNewMark(userId, delivered, read) ?? false
  }

  #logged(announcement: Extract<Announcement, { type: 'logged' }>): void {
    const { entries = [], seq } = announcement
    const conversation = { workspaceId: announcement.workspaceId, id: announcement.conversationId }
    for (const { event } of entries) {
      this.#noteMeanwhile(conversation.id, event)
      this.#admitted(conversation.id, event)
    }
    const isHeard =
      this.#tails.has(conversation.id) || this.#hasFeeds({ ...conversation, inboxId: announcement.inboxId })
    if (!isHeard) return
    const tail = this.#tailOf(conversation)
    tail.inboxId = announcement.inboxId
    if (entries.length > 0) tail.take(entries)
    else void tail.reach(seq)
  }

  #noteMeanwhile(conversationId: string, event: LogEvent): void {
    const [userId, role] =
      event.type === 'participant.joined'
        ? [event.participant.userId, event.participant.role]
        : event.type === 'participant.left'
          ? [event.userId, null]
          : []
    if (userId === undefined || role === undefined) return
    for (const meanwhile of this.#meanwhile.get(userId)) meanwhile.set(conversationId, role)
  }

  #receipt(announcement: Extract<Announcement, { type: 'receipt' }>): void {
    const { conversationId, receipt, newlyRead } = announcement
    const frame = new Frame({
      type: 'receipt.moved',
      conversationId,
      receipt,
      ...(newlyRead && { newlyRead }),
    })
    const tail = this.#tails.get(conversationId)
    tail?.isNewMark(receipt.userId, receipt.delivered, receipt.read)
    tail?.tellFollowers(frame, () => true)
    // One's own other tabs mend their unread counts, whether or not they have the conversation open.
    const others = new Set([...this.#byUser.get(receipt.userId), ...this.#allHearers(announcement)])
    for (const listener of others) if (!tail?.has(listener)) listener.hear(frame)
  }

  #typing(announcement: Extract<Announcement, { type: 'typing' }>): void {
    const { conversationId, userId, name, typing } = announcement
    const frame = new Frame({ type: 'typing.changed', conversationId, userId, name, typing })
    const tail = this.#tails.get(conversationId)
    tail?.tellFollowers(frame, (listener) => listener.actor.userId !== userId || listener.hearsAll === true)
    for (const listener of this.#allHearers(announcement)) if (!tail?.has(listener)) listener.hear(frame)
  }

  #allHearers(of: { workspaceId: string; conversationId: string; inboxId: string | null }): Listener[] {
    const found: Listener[] = []
    this.#eachFeed({ ...of, id: of.conversationId }, (listener) => listener.hearsAll && found.push(listener))
    return found
  }

  /** Joining opens the conversation to the feeds of the one who joined, before the entry itself is told. */
  #admitted(conversationId: string, event: LogEvent): void {
    if (event.type !== 'participant.joined') return
    for (const listener of this.#byUser.get(event.participant.userId)) {
      const participating = this.#participating.get(listener)
      const isNew = participating?.has(conversationId) === false
      participating?.set(conversationId, event.participant.role)
      if (!isNew) continue
      this.#feedByConversation.add(conversationId, listener)
      listener.gained(conversationId)
    }
  }

  /** Leaving closes it again, after the entry was told; the team goes on seeing what its inbox shows. */
  #expelled(conversationId: string, event: LogEvent): void {
    const gone =
      event.type === 'participant.left'
        ? [...this.#byUser.get(event.userId)]
        : event.type === 'conversation.deleted'
          ? [...this.#feedByConversation.get(conversationId)]
          : []
    for (const listener of gone) {
      this.#participating.get(listener)?.delete(conversationId)
      this.#feedByConversation.remove(conversationId, listener)
      if (event.type !== 'participant.left' || !listener.parted) {
        void listener.recheck()
        continue
      }
      // Whether a contact may hear more needs no look at the store, which may be slow.
      if (!isStaff(listener.actor)) this.unfollow(listener, conversationId)
      listener.parted(conversationId)
    }
  }

  #tailOf(conversation: { workspaceId: string; id: string }): Tail {
    const known = this.#tails.get(conversation.id)
    if (known) return known
    const tail = new Tail(conversation, this.#read, {
      tellAudience: (tell) => this.#eachFeed({ ...conversation, inboxId: tail.inboxId }, tell),
      seesNotes: (listener) => this.#seesNotes(listener, { ...conversation, inboxId: tail.inboxId }),
      hasAudience: () => this.#hasFeeds({ ...conversation, inboxId: tail.inboxId }),
      failed: (error) => this.#onFault(error, conversation.id),
      missed: () =>
        this.#eachFeed({ ...conversation, inboxId: tail.inboxId }, (listener) =>
          listener.gained(conversation.id),
        ),
      told: (event) => {
        this.#expelled(conversation.id, event)
        if (event.type === 'conversation.created') {
          this.#eachFeed({ ...conversation, inboxId: tail.inboxId }, (listener) =>
            listener.gained(conversation.id),
          )
        }
      },
    })
    this.#tails.set(conversation.id, tail)
    return tail
  }

  /** Called by the sweep: tails that nobody follows and nothing has happened in are forgotten. */
  tidy(olderThanMs: number): void {
    for (const tail of this.#tails.values())
      if (tail.isIdle(olderThanMs)) this.#tails.delete(tail.conversation.id)
  }

  #forgetIfIdle(tail: Tail): void {
    if (tail.isIdle(60_000)) this.#tails.delete(tail.conversation.id)
  }

  #hasFeeds({ workspaceId, id, inboxId }: Place): boolean {
    return (
      this.#feedByConversation.get(id).size > 0 ||
      this.#feedByWorkspace.get(workspaceId).size > 0 ||
      (inboxId !== null && this.#feedByInbox.get(inboxId).size > 0)
    )
  }

  /** Every feed once. Asked for at every message, so without making a set, or an object for each step. */
  #eachFeed({ workspaceId, id, inboxId }: Place, tell: (listener: Listener) => void): void {
    const ofConversation = this.#feedByConversation.get(id)
    const ofWorkspace = this.#feedByWorkspace.get(workspaceId)
    for (const listener of ofConversation) tell(listener)
    for (const listener of ofWorkspace) if (!ofConversation.has(listener)) tell(listener)
    if (!inboxId) return
    for (const listener of this.#feedByInbox.get(inboxId)) {
      if (!ofConversation.has(listener) && !ofWorkspace.has(listener)) tell(listener)
    }
  }

  /** Somebody of the team may also be the contact of a conversation: what a feed is told depends on their part in each. */
  #seesNotes(listener: Listener, { id, inboxId }: Place): boolean {
    return worksIn(listener.actor, inboxId, this.#participating.get(listener)?.get(id) ?? null)
  }

  /** Conversations that are new to a listener are told as rows: what was written in them before was not heard. */
  #replaceFeed(
    listener: Listener,
    found: readonly Participation[],
    meanwhile: ReadonlyMap<string, ParticipantRole | null>,
  ): string[] {
    const before = this.#participating.get(listener)
    this.#closeFeed(listener)
    const now = new Map(found.map(({ conversationId, role }) => [conversationId, role]))
    for (const [conversationId, role] of meanwhile) {
      if (role) now.set(conversationId, role)
      else now.delete(conversationId)
    }
    this.#openFeed(listener, now)
    if (!before) return []
    for (const conversationId of now.keys()) if (!before.has(conversationId)) listener.gained(conversationId)
    return [...before.keys()].filter((conversationId) => !now.has(conversationId))
  }

  #openFeed(listener: Listener, participating: Map<string, ParticipantRole>): void {
    const { actor } = listener
    this.#participating.set(listener, participating)
    for (const conversationId of participating.keys()) this.#feedByConversation.add(conversationId, listener)
    if (isAdmin(actor)) this.#feedByWorkspace.add(actor.workspaceId, listener)
    else if (isStaff(actor)) {
      this.#inboxes.set(listener, actor.inboxIds)
      for (const id of actor.inboxIds) this.#feedByInbox.add(id, listener)
    }
  }

  #closeFeed(listener: Listener): void {
    for (const id of this.#participating.get(listener)?.keys() ?? [])
      this.#feedByConversation.remove(id, listener)
    this.#participating.delete(listener)
    this.#feedByWorkspace.remove(listener.actor.workspaceId, listener)
    for (const id of this.#inboxes.get(listener) ?? []) this.#feedByInbox.remove(id, listener)
    this.#inboxes.delete(listener)
  }
}
