import type { ShownMessage } from '@parley/client'
import type { Attachment } from '@parley/protocol'
import { type Chat, isWorthRetrying } from '../chat.ts'
import { piecesOf } from '../links.ts'
import { strings } from '../strings.ts'
import type { Line, ThreadItem } from '../thread.ts'
import { timeOf } from '../times.ts'
import { AlertIcon, ClockIcon, FileIcon } from './icons.tsx'

export type GroupProps = { group: Extract<ThreadItem, { kind: 'group' }>; chat: Chat; baseUrl: string }

type LineProps = { line: Line; name: string; chat: Chat; baseUrl: string }

/** What one person wrote in one go: the name once, then line by line. */
export function Group({ group: { mine, name, lines }, chat, baseUrl }: GroupProps) {
  return (
    <div class={mine ? 'group mine' : 'group'}>
      {!mine && (
        <p class="name" dir="auto" aria-hidden="true">
          {name}
        </p>
      )}
      {lines.map((line) => (
        <MessageLine key={line.message.key} line={line} name={name} chat={chat} baseUrl={baseUrl} />
      ))}
    </div>
  )
}

function MessageLine({ line: { message, showsStatus }, name, chat, baseUrl }: LineProps) {
  const { mine, status, createdAt, retractedAt, attachments, body } = message
  const time = timeOf(createdAt)
  const tells = mine ? `${time}, ${strings.status[status]}` : time
  const look = `bubble ${retractedAt ? 'gone' : mine ? `own ${status}` : ''}`
  return (
    <div class="line" data-status={status} data-mine={mine}>
      <span class="sr">{`${name}, ${tells}: `}</span>
      {retractedAt && <div class={look}>{strings.retracted}</div>}
      {attachments.map((one) => (
        <AttachmentView key={one.id} attachment={one} look={look} baseUrl={baseUrl} />
      ))}
      {body && (
        <div class={look} title={tells}>
          <div class="text" dir="auto">
            <LinkedText text={body} />
            {message.editedAt && <span class="edited">{` (${strings.edited})`}</span>}
          </div>
        </div>
      )}
      {showsStatus && <Status message={message} time={time} chat={chat} />}
    </div>
  )
}

/** The line above has told a screen reader the status; here it is for the eyes, and buttons are for both. */
function Status({
  message: { key, status, error },
  time,
  chat,
}: {
  message: ShownMessage
  time: string
  chat: Chat
}) {
  if (status === 'failed') {
    return (
      <div class="status failed">
        <span>
          <AlertIcon />
          {strings.status.failed}
          {error && <span class="why">{` · ${error.message}`}</span>}
        </span>
        {isWorthRetrying(error) ? (
          <button type="button" onClick={() => chat.retry(key)}>
            {strings.retry}
          </button>
        ) : (
          <button type="button" onClick={() => chat.takeBack(key)}>
            {strings.edit}
          </button>
        )}
        <button type="button" onClick={() => chat.discard(key)}>
          {strings.discard}
        </button>
      </div>
    )
  }
  return (
    <div class={`status ${status}`} aria-hidden="true">
      {status === 'queued' && <ClockIcon />}
      {status === 'read' || status === 'delivered' || status === 'sent'
        ? `${strings.status[status]} · ${time}`
        : strings.status[status]}
    </div>
  )
}

/** Text from outside becomes text nodes and links, never markup. */
function LinkedText({ text }: { text: string }) {
  return (
    <>
      {piecesOf(text).map(({ text, href }) =>
        href ? (
          <a href={href} target="_blank" rel="noopener noreferrer nofollow">
            {text}
          </a>
        ) : (
          text
        ),
      )}
    </>
  )
}

type AttachmentProps = { attachment: Attachment; look: string; baseUrl: string }

function AttachmentView({ attachment, look, baseUrl }: AttachmentProps) {
  const { name, size, url, thumbnailUrl, width, height } = attachment
  const href = baseUrl + url
  const link = { href, target: '_blank', rel: 'noopener noreferrer nofollow' }
  if (thumbnailUrl) {
    return (
      <a class="image" {...link}>
        <img
          src={baseUrl + thumbnailUrl}
          alt={name}
          width={width ?? undefined}
          height={height ?? undefined}
          loading="lazy"
        />
      </a>
    )
  }
  return (
    <a class={`${look} file`} {...link}>
      <FileIcon />
      <span class="file-name" dir="auto">
        {name}
      </span>
      <span class="size">{sizeOf(size)}</span>
    </a>
  )
}

function sizeOf(bytes: number): string {
  const [value, unit] =
    bytes >= 1_048_576 ? [bytes / 1_048_576, 'megabyte'] : [Math.max(1, bytes / 1024), 'kilobyte']
  return new Intl.NumberFormat(undefined, {
    style: 'unit',
    unit,
    maximumFractionDigits: value < 10 ? 1 : 0,
  }).format(value)
}
