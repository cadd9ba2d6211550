import type { Page } from 'playwright-core'

/** A finger needs this much, in CSS pixels (WCAG 2.5.5). */
const side = 44

/**
 * What somebody can touch on the page as it stands and would miss: an element that does not answer to all of a square of
 * 44 px around its middle. Links within a sentence are as high as their line, and left out.
 */
export function smallTargets(page: Page, within = '*'): Promise<string[]> {
  return page.evaluate(`(${measure})(${side / 2 - 1}, ${JSON.stringify(within)})`)
}

/** Runs in the page, so it is text: this side knows no document. */
const measure = `async (reach, within) => {
  const roots = [document, ...[...document.querySelectorAll('*')].flatMap((one) => one.shadowRoot ?? [])]
  const moving = roots.flatMap((root) => root.getAnimations()).filter((one) => one.effect.getTiming().iterations < 99)
  await Promise.allSettled(moving.map((one) => one.finished))
  const found = roots.flatMap((root) => [...root.querySelectorAll('a[href], button, input, select, textarea, [role^=menuitem]')])
  return found.filter(isThere).filter(isMissed).map(nameOf)

  function isThere(one) {
    if (one.disabled || !one.closest(within) || one.closest('[inert], [aria-hidden=true]') || !one.checkVisibility({ visibilityProperty: true })) return false
    const { width, height } = one.getBoundingClientRect()
    if (width < 2 || height < 2) return false
    const isInline = one.matches('a') && getComputedStyle(one).display === 'inline'
    return !isInline || one.parentElement.textContent.trim() === one.textContent.trim()
  }
  function isMissed(one) {
    one.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' })
    const { left, right, top, bottom } = one.getBoundingClientRect()
    const [x, y] = [(left + right) / 2, (top + bottom) / 2]
    return [[0, 0], [-reach, 0], [reach, 0], [0, -reach], [0, reach]].some(([dx, dy]) => !answers(one, x + dx, y + dy))
  }
  function answers(one, x, y) {
    const hit = one.getRootNode().elementFromPoint(x, y)
    return one.contains(hit) || (one.labels && [...one.labels].some((label) => label.contains(hit)))
  }
  function nameOf(one) {
    const { width, height } = one.getBoundingClientRect()
    const name = one.getAttribute('aria-label') ?? one.textContent.trim().slice(0, 30)
    return [one.localName, one.className, JSON.stringify(name), Math.round(width) + '×' + Math.round(height)].join(' ')
  }
}`
