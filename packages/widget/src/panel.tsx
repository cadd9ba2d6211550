import { browserStorage } from '@parley/client'
import { render } from 'preact'
import { openChat } from './chat.ts'
import { draftOf } from './draft.ts'
import { type InboxLook, lookKeyOf, namespaceOf, type Page, type Panel } from './embed.ts'
import css from './panel.css?inline'
import { ChatPanel } from './views/chat-panel.tsx'

/** Puts the panel into the loader's shadow root, closed, and connects. */
export function mount(page: Page): Panel {
  const { root, widgetKey, baseUrl, identity } = page
  const storage = browserStorage()
  const draft = draftOf(storage, namespaceOf(widgetKey))
  const chat = openChat({
    baseUrl,
    widgetKey,
    identity,
    storage,
    heard: (message) => page.emit('message', message),
  })
  const sheet = new CSSStyleSheet()
  sheet.replaceSync(css)
  root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet]
  const place = document.createElement('div')
  root.append(place)

  let look = lookOf(storage.get(lookKeyOf(widgetKey)))
  let isOpen = false
  let takesFocus = false
  let isAsking = false
  let unread = 0

  const draw = () =>
    render(
      <ChatPanel
        chat={chat}
        draft={draft}
        look={look}
        baseUrl={baseUrl}
        isOpen={isOpen}
        takesFocus={takesFocus}
        onClose={page.close}
      />,
      place,
    )

  /** Asked once per page and again as long as there was no answer. */
  async function askLook() {
    if (isAsking) return
    isAsking = true
    const answer = await page.inbox()
    isAsking = answer !== null
    if (!answer) return
    look = answer
    storage.set(lookKeyOf(widgetKey), JSON.stringify(answer))
    draw()
  }

  const stop = chat.subscribe(() => {
    const now = chat.get()
    if (now.connection === 'live') void askLook()
    if (now.unread !== unread) page.emit('unread', now.unread)
    unread = now.unread
  })
  void askLook()
  draw()

  return {
    open(focus) {
      isOpen = true
      takesFocus = focus
      draw()
    },
    close() {
      isOpen = false
      draw()
    },
    identify: chat.identify,
    destroy() {
      stop()
      chat.close()
      render(null, place)
      place.remove()
    },
  }
}

function lookOf(text: string | null): InboxLook | null {
  try {
    return text ? (JSON.parse(text) as InboxLook) : null
  } catch {
    return null
  }
}
