import type { ResultOf } from '@parley/protocol'

/** What the loader and the panel know of each other. Types only: they are two scripts that share no code at run time. */

/** Name, greeting, colour of the inbox behind a widget key. */
export type InboxLook = ResultOf<'widget.config'>

/** What a page may listen to. `unread` tells the new number; `message` one that came from the team. */
export type EmbedEvents = {
  open: undefined
  close: undefined
  unread: number
  message: { id: string; body: string }
}

export type EmbedListener<N extends keyof EmbedEvents> = (detail: EmbedEvents[N]) => void

/**
 * Who the visitor is: a JWT that the site's own server signed, with the inbox as audience, or how to get a fresh one
 * (then a short-lived one does not end a long visit). Null: nobody in particular.
 */
export type Identity = string | (() => string | Promise<string>) | null

/** `window.Parley`. Present as soon as the loader has run, which `parley:ready` on the window tells. */
export interface ParleyEmbed {
  open(): void
  close(): void
  toggle(): void
  identify(identity: Identity): void
  /** Returns the way to stop listening. */
  on<N extends keyof EmbedEvents>(event: N, listener: EmbedListener<N>): () => void
  /** Takes everything off the page. What the visitor wrote stays kept for next time. */
  destroy(): void
}

/** What the panel is given by the loader. */
export type Page = {
  root: ShadowRoot
  baseUrl: string
  widgetKey: string
  identity: Identity
  /** Asks again each time, so that an answer missed while offline can still come. Null: cannot be reached. */
  inbox(): Promise<InboxLook | null>
  emit<N extends keyof EmbedEvents>(event: N, detail: EmbedEvents[N]): void
  /** The visitor wants the panel closed. */
  close(): void
}

export type Panel = {
  /** `focus`: the visitor asked for it, so the panel may take the focus. */
  open(focus: boolean): void
  close(): void
  identify(identity: Identity): void
  destroy(): void
}

export type PanelModule = { mount(page: Page): Panel }

/** Where this widget's things stand in the browser's storage; another inbox on the same site has its own. */
export const namespaceOf = (widgetKey: string) => `parley.${widgetKey}`
/** Where the client keeps the visitor's key. Whoever has none has never opened the chat. */
export const visitorKeyOf = (widgetKey: string) => `${namespaceOf(widgetKey)}:visitor:${widgetKey}`
/** The look of the inbox as of last time, so that the launcher need not wait for it. Written by the panel. */
export const lookKeyOf = (widgetKey: string) => `${namespaceOf(widgetKey)}:inbox`
