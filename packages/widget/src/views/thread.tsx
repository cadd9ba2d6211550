import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { Chat, ChatView } from '../chat.ts'
import { strings } from '../strings.ts'
import { threadOf } from '../thread.ts'
import { dayOf } from '../times.ts'
import { DownIcon } from './icons.tsx'
import { Group } from './message.tsx'

export type ThreadProps = { chat: Chat; view: ChatView; baseUrl: string; greeting: string; isOpen: boolean }

/** How near to the end counts as being there, in pixels. */
const nearEnd = 60

/**
 * Greeting and messages. Stays at the end while the reader is there; whoever has scrolled up is left in peace and told
 * of new ones. What has been seen, at the end of an open panel of a visible page, is marked read.
 */
export function Thread({ chat, view, baseUrl, greeting, isOpen }: ThreadProps) {
  const { conversation, messages } = view
  const log = useRef<HTMLDivElement>(null)
  const isAtEnd = useRef(true)
  const heightBefore = useRef(0)
  /** The reader has just come, or come back: what is unread now was written meanwhile. */
  const isBack = useRef(true)
  const [hasNewBelow, setNewBelow] = useState(false)
  const [newAfter, setNewAfter] = useState<number | null>(null)
  const items = useMemo(
    () => threadOf(messages, conversation?.participants ?? [], newAfter),
    [messages, conversation?.participants, newAfter],
  )
  const first = messages[0]?.key
  const last = messages.at(-1)

  const toEnd = () => log.current?.scrollTo({ top: log.current.scrollHeight })

  function markRead() {
    if (!isOpen || !isAtEnd.current || document.visibilityState !== 'visible') return
    setNewBelow(false)
    if (isBack.current && conversation?.phase === 'ready') {
      isBack.current = false
      setNewAfter(view.unread ? lastReadOf(chat) : null)
    }
    chat.markRead()
  }

  // An earlier page came in above: what was being read keeps its place.
  useLayoutEffect(() => {
    const box = log.current
    if (box && !isAtEnd.current) box.scrollTop += box.scrollHeight - heightBefore.current
  }, [first])

  // When something came in at the end
  useLayoutEffect(() => {
    if (isAtEnd.current || last?.mine) toEnd()
    else if (last) setNewBelow(true)
  }, [last?.key, conversation?.typing])

  useLayoutEffect(() => {
    heightBefore.current = log.current?.scrollHeight ?? 0
  })

  // When there is something new to have been seen
  useEffect(() => {
    const look = () => {
      if (document.visibilityState === 'hidden') isBack.current = true
      else markRead()
    }
    look()
    document.addEventListener('visibilitychange', look)
    return () => document.removeEventListener('visibilitychange', look)
  }, [isOpen, last?.key, conversation?.phase, conversation?.caughtUp, view.unread])

  useEffect(() => {
    if (!isOpen) isBack.current = true
    else if (isAtEnd.current) toEnd()
  }, [isOpen])

  // Keyboard, composer and images change the room there is; the end stays in sight.
  useEffect(() => {
    const box = log.current
    if (!box) return
    const observer = new ResizeObserver(() => isAtEnd.current && toEnd())
    observer.observe(box)
    for (const child of box.children) observer.observe(child)
    return () => observer.disconnect()
  }, [])

  function scrolled() {
    const box = log.current
    if (!box) return
    isAtEnd.current = box.scrollHeight - box.scrollTop - box.clientHeight < nearEnd
    if (isAtEnd.current) markRead()
    if (box.scrollTop < nearEnd && conversation?.hasEarlier && !conversation.loadingEarlier) earlier()
  }

  function earlier() {
    chat.loadEarlier().catch(() => {})
  }

  const isLoading = conversation?.phase === 'loading' && !messages.length
  return (
    <div class="middle">
      <div
        ref={log}
        class="log"
        role="log"
        aria-label={strings.log}
        // New messages are read out; a status that moves on is not.
        aria-relevant="additions"
        aria-busy={isLoading || conversation?.loadingEarlier === true}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
        tabIndex={0}
        onScroll={scrolled}
      >
        <div class="content">
          {conversation?.hasEarlier ? (
            <button type="button" class="quiet" disabled={conversation.loadingEarlier} onClick={earlier}>
              {conversation.loadingEarlier ? strings.loading : strings.earlier}
            </button>
          ) : (
            <div class="greeting">
              <p class="hello" dir="auto">
                {greeting}
              </p>
              {!messages.length && !isLoading && view.connection !== 'refused' && (
                <p class="hint">{strings.hint}</p>
              )}
            </div>
          )}
          {isLoading && <p class="quiet">{strings.loading}</p>}
          {conversation?.phase === 'failed' && view.connection === 'live' && (
            <p class="quiet">{strings.loadFailed}</p>
          )}
          {items.map((item) => {
            if (item.kind === 'day') {
              return (
                <p key={item.key} class="day">
                  <time dateTime={item.at}>{dayOf(item.at)}</time>
                </p>
              )
            }
            if (item.kind === 'new') {
              return (
                <p key={item.key} class="day new">
                  {strings.newFrom}
                </p>
              )
            }
            return <Group key={item.key} group={item} chat={chat} baseUrl={baseUrl} />
          })}
          {conversation && conversation.typing.length > 0 && (
            <Typing names={conversation.typing.map((one) => one.name)} />
          )}
        </div>
      </div>
      {hasNewBelow && (
        <button type="button" class="below" onClick={toEnd}>
          <DownIcon />
          {strings.newBelow}
        </button>
      )}
    </div>
  )
}

function Typing({ names }: { names: readonly string[] }) {
  return (
    <div class="typing">
      <span class="dots" aria-hidden="true">
        <i />
        <i />
        <i />
      </span>
      <span class="who" dir="auto">
        {strings.typing(names)}
      </span>
    </div>
  )
}

/** Where the visitor stood before reading what is there now. */
function lastReadOf(chat: Chat): number {
  const { conversation, unread } = chat.get()
  const theirs = (conversation?.messages ?? []).filter((one) => !one.mine && one.seq !== null)
  return (theirs.at(-unread)?.seq ?? 1) - 1
}
