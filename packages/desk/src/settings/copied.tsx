import { useRef, useState } from 'react'
import { Icon } from '../icons.tsx'
import './settings.css'

const shownMs = 2_000

/** Text to take along. Without a clipboard (plain HTTP on another host) it is selected instead, ready for Ctrl+C. */
export function Copied({ text, label }: { text: string; label: string }) {
  const code = useRef<HTMLElement>(null)
  const [outcome, setOutcome] = useState<'copied' | 'selected' | null>(null)

  async function copy() {
    try {
      await navigator.clipboard.writeText(text)
      setOutcome('copied')
    } catch {
      if (code.current) getSelection()?.selectAllChildren(code.current)
      setOutcome('selected')
    }
    setTimeout(() => setOutcome(null), shownMs)
  }

  return (
    <figure className="copied" aria-label={label}>
      <code ref={code}>{text}</code>
      <button type="button" className="button" onClick={copy} aria-label={`Copy: ${label}`}>
        <Icon name={outcome === 'copied' ? 'check' : 'copy'} />
        <span aria-live="polite">
          {outcome === 'copied' ? 'Copied' : outcome === 'selected' ? 'Press Ctrl+C' : 'Copy'}
        </span>
      </button>
    </figure>
  )
}
