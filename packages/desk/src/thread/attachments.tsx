import type { Attachment } from '@parley/protocol'
import { Icon } from '../icons.tsx'

/** Files of a message. Pictures are shown small; a press opens the file itself in its own tab. */
export function Attachments({ attachments }: { attachments: readonly Attachment[] }) {
  return (
    <ul className="attachments">
      {attachments.map((file) => (
        <li key={file.id}>
          <a href={file.url} target="_blank" rel="noopener noreferrer" title={file.name}>
            {file.thumbnailUrl ? (
              <img
                src={file.thumbnailUrl}
                alt={file.name}
                loading="lazy"
                style={
                  file.width && file.height ? { aspectRatio: `${file.width} / ${file.height}` } : undefined
                }
              />
            ) : (
              <span className="file">
                <Icon name="file" />
                <span className="file-name">{file.name}</span>
                <span className="hint">{sizeName(file.size)}</span>
              </span>
            )}
          </a>
        </li>
      ))}
    </ul>
  )
}

/** Bytes as people say them. */
export function sizeName(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`
  if (bytes < 1_000_000) return `${Math.round(bytes / 1_000)} KB`
  return `${(bytes / 1_000_000).toFixed(1)} MB`
}
