import { fillOf } from './color.ts'
import css from './launcher.css?inline'
import { launcherStrings } from './strings.ts'

/** The round button in the corner. Built node by node, because pages with Trusted Types allow nothing else. */
export type Launcher = {
  show(color: string): void
  /** Out of the way while the panel is open. */
  setOpen(open: boolean): void
  setBusy(busy: boolean): void
  setUnread(count: number): void
  /** Shown above the button and read out; null takes it away. */
  say(text: string | null): void
  focus(): void
}

export function drawLauncher(root: ShadowRoot, open: () => void): Launcher {
  adopt(root, css)
  const frame = element('div', 'launcher')
  const button = element('button', 'launch')
  const badge = element('span', 'badge')
  const notice = element('div', 'toast')
  button.type = 'button'
  button.setAttribute('aria-haspopup', 'dialog')
  button.setAttribute('aria-expanded', 'false')
  button.setAttribute('aria-label', nameOf(0))
  button.append(bubble())
  button.onclick = open
  badge.ariaHidden = 'true'
  badge.hidden = notice.hidden = true
  notice.role = 'status'
  frame.append(button, badge, notice)

  return {
    show(color) {
      const { fill, onFill } = fillOf(color)
      frame.style.setProperty('--fill', fill)
      frame.style.setProperty('--on-fill', onFill)
      if (!frame.isConnected) root.append(frame)
    },
    setOpen(open) {
      frame.hidden = open
      button.setAttribute('aria-expanded', String(open))
    },
    setBusy(busy) {
      button.setAttribute('aria-busy', String(busy))
    },
    setUnread(count) {
      button.setAttribute('aria-label', nameOf(count))
      badge.textContent = badgeOf(count)
      badge.hidden = count === 0
    },
    say(text) {
      notice.textContent = text
      notice.hidden = text === null
    },
    focus: () => button.focus(),
  }
}

/** What the button is called. */
export const nameOf = (unread: number) =>
  unread ? `${launcherStrings.open}, ${launcherStrings.unread(unread)}` : launcherStrings.open

/** What stands in the badge. */
export const badgeOf = (unread: number) => (unread > 99 ? '99+' : String(unread))

/** Adds a style sheet in the one way that needs no permission from the page's content policy. */
export function adopt(root: ShadowRoot, text: string): void {
  const sheet = new CSSStyleSheet()
  sheet.replaceSync(text)
  root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet]
}

function element<K extends keyof HTMLElementTagNameMap>(name: K, className: string) {
  const made = document.createElement(name)
  made.className = className
  return made
}

function bubble(): SVGElement {
  const namespace = 'http://www.w3.org/2000/svg'
  const svg = document.createElementNS(namespace, 'svg')
  svg.setAttribute('viewBox', '0 0 28 28')
  svg.ariaHidden = 'true'
  for (const d of [
    'M5 9.5A4.5 4.5 0 0 1 9.5 5h9A4.5 4.5 0 0 1 23 9.5v6a4.5 4.5 0 0 1-4.5 4.5H13l-5 4v-4.3A4.5 4.5 0 0 1 5 15.5z',
    'M10 11h8M10 15h5',
  ]) {
    const path = document.createElementNS(namespace, 'path')
    path.setAttribute('d', d)
    svg.append(path)
  }
  return svg
}
