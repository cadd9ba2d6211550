/**
 * Keeps a sheet inside what can be seen. The keyboard of a phone shrinks the visual viewport and not always the layout,
 * so `100dvh` alone would put the composer behind it. Sets `--seen-top` and `--seen-height`; returns the way to stop.
 */
export function followViewport(sheet: HTMLElement): () => void {
  const viewport = window.visualViewport
  if (!viewport) return () => {}
  const follow = () => {
    sheet.style.setProperty('--seen-top', `${viewport.offsetTop}px`)
    sheet.style.setProperty('--seen-height', `${viewport.height}px`)
  }
  follow()
  const ending = new AbortController()
  for (const event of ['resize', 'scroll'])
    viewport.addEventListener(event, follow, { signal: ending.signal })
  return () => ending.abort()
}

/** The panel covers the page: a phone, or a window as small as one. The same question as in `panel.css`. */
export const isSheet = () => matchMedia('(max-width: 520px), (max-height: 440px)').matches

/** The page behind a sheet does not scroll. Returns the way back. */
export function holdPage(): () => void {
  const { style } = document.documentElement
  const before = style.overflow
  style.overflow = 'hidden'
  return () => {
    style.overflow = before
  }
}
