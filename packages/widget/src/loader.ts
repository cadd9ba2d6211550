import {
  type EmbedEvents,
  type EmbedListener,
  type Identity,
  type InboxLook,
  lookKeyOf,
  namespaceOf,
  type Page,
  type Panel,
  type PanelModule,
  type ParleyEmbed,
  visitorKeyOf,
} from './embed.ts'
import { drawLauncher } from './launcher.ts'
import { launcherStrings } from './strings.ts'

/**
 * The one script a site names:
 *
 * ```html
 * <script src="https://chat.example.com/widget/loader.js" data-inbox="WIDGET_KEY" async></script>
 * ```
 *
 * It draws the launcher and loads the panel when somebody opens it. Before that it asks the server it came from for the
 * inbox's colour, and nobody for anything else; it writes nothing into the browser. Whoever has opened the chat before
 * is reconnected when the page has settled, so that an answer shows as a badge.
 *
 * The panel stands in a shadow root and not in a frame: no second document to load and keep in step, the keyboard of a
 * phone moves one viewport and not two, and what the visitor wrote is stored with the site, where browsers that wall
 * off third parties still keep it. The page's styles stay out; a page's scripts could look in, but they could also
 * draw a chat of their own.
 */
declare global {
  interface Window {
    Parley?: ParleyEmbed
  }
}

const script = document.currentScript ?? document.querySelector('script[data-inbox]')
if (script instanceof HTMLScriptElement && script.dataset.inbox && !window.Parley) {
  window.Parley = embed(script.src, script.dataset.inbox)
  window.dispatchEvent(new Event('parley:ready'))
}

function embed(source: string, widgetKey: string): ParleyEmbed {
  const baseUrl = new URL('..', source).href.replace(/\/$/, '')
  const openKey = `${namespaceOf(widgetKey)}:open`
  const listeners = new Map<string, Set<(detail: never) => void>>()
  const host = document.createElement('parley-chat')
  const root = host.attachShadow({ mode: 'open' })
  const launcher = drawLauncher(root, () => open(true))
  let identity: Identity = null
  let panel: Panel | null = null
  let loading: Promise<Panel | null> | null = null
  let tries = 0
  let isOpen = false
  let isGone = false

  if (document.body) void begin()
  else document.addEventListener('DOMContentLoaded', begin, { once: true })

  async function begin() {
    if (isGone) return
    document.body.append(host)
    const look = parse(read(() => localStorage, lookKeyOf(widgetKey))) ?? (await inbox())
    if (isGone || look === 'refused') return
    launcher.show(look?.color ?? '')
    // A visitor who was reading goes on reading, but a page that fills a phone's screen must have been asked for.
    if (read(() => sessionStorage, openKey) && matchMedia('(min-width: 521px)').matches) return open(false)
    if (read(() => localStorage, visitorKeyOf(widgetKey))) whenIdle(() => void load())
  }

  /** Null: cannot be reached now. 'refused': not for this page, and it will stay so. */
  async function inbox(): Promise<InboxLook | null | 'refused'> {
    try {
      const response = await fetch(`${baseUrl}/api/v1/widget/${encodeURIComponent(widgetKey)}`, {
        credentials: 'omit',
        // A server that hangs must not keep the launcher from a page whose panel will tell what is wrong.
        signal: AbortSignal.timeout(5_000),
      })
      if (response.ok) return (await response.json()) as InboxLook
      if (response.status !== 403 && response.status !== 404) return null
      console.warn(
        `Parley: the inbox "${widgetKey}" is not available on ${location.origin} (${response.status}).`,
      )
      return 'refused'
    } catch {
      return null
    }
  }

  function load(): Promise<Panel | null> {
    loading ??= fetchPanel().then(
      (module) => {
        if (isGone) return null
        panel = module.mount(page())
        return panel
      },
      () => {
        loading = null
        return null
      },
    )
    return loading
  }

  /** A browser may remember that a module could not be loaded; under another address it tries again. */
  function fetchPanel(): Promise<PanelModule> {
    const url = new URL(PANEL_FILE, source)
    if (tries++) url.searchParams.set('try', String(tries))
    return import(/* @vite-ignore */ url.href) as Promise<PanelModule>
  }

  function page(): Page {
    return {
      root,
      baseUrl,
      widgetKey,
      identity,
      emit,
      close,
      inbox: async () => {
        const look = await inbox()
        return look === 'refused' ? null : look
      },
    }
  }

  function emit<N extends keyof EmbedEvents>(event: N, detail: EmbedEvents[N]) {
    if (event === 'unread') launcher.setUnread(detail as number)
    for (const listener of listeners.get(event) ?? []) (listener as EmbedListener<N>)(detail)
  }

  async function open(focus: boolean) {
    if (isOpen || isGone) return
    isOpen = true
    launcher.say(null)
    launcher.setBusy(true)
    const loaded = await load()
    launcher.setBusy(false)
    if (!isOpen || isGone) return
    if (!loaded) {
      isOpen = false
      return launcher.say(launcherStrings.failed)
    }
    loaded.open(focus)
    launcher.setOpen(true)
    write(openKey, '1')
    emit('open', undefined)
  }

  function close() {
    if (!isOpen) return
    isOpen = false
    const had = root.activeElement !== null
    panel?.close()
    launcher.setOpen(false)
    if (had) launcher.focus()
    write(openKey, null)
    emit('close', undefined)
  }

  return {
    open: () => void open(true),
    close,
    toggle: () => (isOpen ? close() : void open(true)),
    identify(next) {
      identity = next
      panel?.identify(next)
    },
    on(event, listener) {
      const those = listeners.get(event) ?? new Set()
      listeners.set(event, those.add(listener))
      return () => void those.delete(listener)
    },
    destroy() {
      isGone = true
      panel?.destroy()
      host.remove()
      listeners.clear()
      delete window.Parley
    },
  }
}

// A browser may forbid storage, and says so by throwing.

function read(store: () => Storage, key: string): string | null {
  try {
    return store().getItem(key)
  } catch {
    return null
  }
}

/** Of this tab only: whether the panel stands open. */
function write(key: string, value: string | null) {
  try {
    if (value === null) sessionStorage.removeItem(key)
    else sessionStorage.setItem(key, value)
  } catch {}
}

function parse(text: string | null): InboxLook | null {
  try {
    return text ? (JSON.parse(text) as InboxLook) : null
  } catch {
    return null
  }
}

function whenIdle(work: () => void) {
  if ('requestIdleCallback' in globalThis) requestIdleCallback(work, { timeout: 3_000 })
  else setTimeout(work, 1_000)
}
