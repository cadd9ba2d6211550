import type { Presence } from '@parley/protocol'
import './avatar.css'

/** A person as a coloured initial. The colour comes from the id, so it stays when the name changes. */
export function Avatar(props: {
  id: string
  name: string
  size?: 'small' | 'large'
  presence?: Presence['state'] | undefined
}) {
  return (
    <span
      className="avatar"
      data-size={props.size}
      style={{ '--hue': hueOf(props.id) } as React.CSSProperties}
    >
      <span aria-hidden="true">{initialOf(props.name)}</span>
      {props.presence === 'online' || props.presence === 'away' ? (
        <span
          className="presence"
          data-state={props.presence}
          role="img"
          aria-label={presenceName(props.presence)}
        />
      ) : null}
    </span>
  )
}

export function presenceName(state: Presence['state'] | undefined): string {
  switch (state) {
    case 'online':
      return 'Online'
    case 'away':
      return 'Away'
    case 'offline':
      return 'Offline'
    default:
      return 'Presence unknown'
  }
}

/**
 * FNV-1a over the whole id, for ids made in the same moment begin alike; then its high bits, which are mixed best. Steps
 * of 15° keep neighbours apart.
 */
export function hueOf(id: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193)
  const mixed = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 0
  return Math.floor((mixed / 2 ** 32) * 24) * 15
}

/** The first letter a reader would say: an emoji or a letter with its accents is one. */
export function initialOf(name: string): string {
  const [first] = new Intl.Segmenter().segment(name.trim())
  return first?.segment.toLocaleUpperCase() ?? '?'
}
