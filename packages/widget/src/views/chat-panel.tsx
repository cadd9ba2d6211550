import { useEffect, useLayoutEffect, useRef } from 'preact/hooks'
import type { Chat, ChatView } from '../chat.ts'
import { fillOf, inkOf } from '../color.ts'
import type { DraftBox } from '../draft.ts'
import type { InboxLook } from '../embed.ts'
import { strings } from '../strings.ts'
import { companyOf } from '../thread.ts'
import { useStore } from '../use-store.ts'
import { followViewport, holdPage, isSheet } from '../viewport.ts'
import { Composer } from './composer.tsx'
import { BubbleIcon, CloseIcon } from './icons.tsx'
import { Notice } from './notice.tsx'
import { Thread } from './thread.tsx'

export type ChatPanelProps = {
  chat: Chat
  draft: DraftBox
  look: InboxLook | null
  baseUrl: string
  isOpen: boolean
  takesFocus: boolean
  onClose(): void
}

/** The whole panel: head, thread, a line about the connection when there is something to say, composer. */
export function ChatPanel({ chat, draft, look, baseUrl, isOpen, takesFocus, onClose }: ChatPanelProps) {
  const view = useStore(chat)
  const panel = useRef<HTMLDivElement>(null)
  const name = look?.name || strings.fallbackName

  useLayoutEffect(() => {
    const { fill, onFill } = fillOf(look?.color ?? '')
    const { inkOnLight, inkOnDark } = inkOf(look?.color ?? '')
    const colors = {
      '--fill': fill,
      '--on-fill': onFill,
      '--ink-on-light': inkOnLight,
      '--ink-on-dark': inkOnDark,
    }
    for (const [property, value] of Object.entries(colors)) panel.current?.style.setProperty(property, value)
  }, [look?.color])

  useEffect(() => {
    if (!isOpen || !panel.current) return
    const stop = followViewport(panel.current)
    const release = isSheet() ? holdPage() : () => {}
    // On a phone the keyboard would cover what the visitor came to read, so the composer waits to be touched.
    if (takesFocus) (isSheet() ? panel.current : panel.current.querySelector('textarea'))?.focus()
    return () => {
      stop()
      release()
    }
  }, [isOpen, takesFocus])

  function keyDown(event: KeyboardEvent) {
    if (event.isComposing) return
    if (event.key === 'Escape') onClose()
    if (event.key === 'Tab' && isSheet() && panel.current) keepInside(event, panel.current)
    // What is typed here is not for the shortcuts of the page.
    event.stopPropagation()
  }

  return (
    <div
      ref={panel}
      class="panel"
      role="dialog"
      aria-label={strings.panel(name)}
      aria-modal={isOpen && isSheet()}
      lang="en"
      tabIndex={-1}
      data-open={isOpen}
      inert={!isOpen}
      onKeyDown={keyDown}
    >
      <header class="head">
        <span class="mark">
          <BubbleIcon />
        </span>
        <div class="title">
          <h2 dir="auto">{name}</h2>
          <Company view={view} />
        </div>
        <button type="button" class="plain" aria-label={strings.close} onClick={onClose}>
          <CloseIcon />
        </button>
      </header>
      <Thread
        chat={chat}
        view={view}
        baseUrl={baseUrl}
        greeting={look?.greeting || strings.fallbackGreeting}
        isOpen={isOpen}
      />
      <Notice text={standingOf(view)} />
      {view.connection !== 'refused' && <Composer chat={chat} view={view} draft={draft} />}
    </div>
  )
}

function Company({ view }: { view: ChatView }) {
  const company =
    view.connection === 'connecting' ? strings.connecting : companyOf(view.conversation?.participants ?? [])
  return company && <p dir="auto">{company}</p>
}

/** What there is to say of the connection. */
function standingOf({ connection, refusal }: ChatView): string | null {
  if (connection === 'offline' || connection === 'unreachable') return strings[connection]
  return connection === 'refused' && refusal ? strings.refused[refusal] : null
}

/** A sheet covers the page, so the Tab key goes round inside it. */
function keepInside(event: KeyboardEvent, panel: HTMLElement) {
  const stops = [
    ...panel.querySelectorAll<HTMLElement>('a[href], button:not(:disabled), textarea, [tabindex="0"]'),
  ]
  const root = panel.getRootNode() as ShadowRoot
  const [from, to] = event.shiftKey ? [stops[0], stops.at(-1)] : [stops.at(-1), stops[0]]
  if (root.activeElement !== from && root.activeElement !== panel) return
  event.preventDefault()
  to?.focus()
}
