import { newId } from '@parley/client'
import type { Attachment } from '@parley/protocol'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import type { Chat, ChatView } from '../chat.ts'
import type { DraftBox } from '../draft.ts'
import { strings } from '../strings.ts'
import { ClipIcon, CloseIcon, SendIcon } from './icons.tsx'
import { Notice } from './notice.tsx'

export type ComposerProps = { chat: Chat; view: ChatView; draft: DraftBox }

/** A file beside the text: on its way up, or there. */
type Upload =
  | { state: 'uploading'; key: string; name: string }
  | { state: 'ready'; key: string; name: string; attachment: Attachment }
  | { state: 'failed'; key: string; name: string }

/**
 * Enter sends, Shift+Enter begins a line. Works without a connection; a closed conversation asks first, unless somebody
 * is writing: what stands in the composer stays there.
 */
export function Composer({ chat, view, draft }: ComposerProps) {
  const [text, setText] = useState(draft.get)
  const [uploads, setUploads] = useState<readonly Upload[]>([])
  const [goesOn, setGoesOn] = useState(false)
  const field = useRef<HTMLTextAreaElement>(null)
  const picker = useRef<HTMLInputElement>(null)
  // Made when a message is begun: however often it is sent, it is one message.
  const messageId = useRef(newId())

  const ready = uploads.filter((one) => one.state === 'ready')
  const canSend =
    (text.trim() !== '' || ready.length > 0) && uploads.every((one) => one.state !== 'uploading')

  const isWriting = text !== '' || uploads.length > 0 || field.current?.matches(':focus') === true
  const asks = view.isOver && !goesOn && !isWriting

  useEffect(() => setGoesOn(view.isOver && !asks), [view.isOver, asks])

  useEffect(() => draft.onChange(() => setText(draft.get())), [draft])

  useEffect(() =>
    chat.onTakenBack(({ body, attachments, conversationId }) => {
      write([body, draft.get()].filter((one) => one !== '').join('\n\n'))
      // Files go nowhere but into the conversation they were uploaded to.
      if (!view.isOver && conversationId === view.conversation?.id) {
        const back = attachments.map((attachment): Upload => {
          const { id: key, name } = attachment
          return { state: 'ready', key, name, attachment }
        })
        setUploads((now) => [...back, ...now])
      }
      // The conversation may be over and its composer not there yet.
      setTimeout(() => field.current?.focus())
    }),
  )

  // The field is as high as its text
  useLayoutEffect(() => {
    const box = field.current
    if (!box) return
    box.style.height = 'auto'
    box.style.height = `${box.scrollHeight}px`
  }, [text, asks])

  function write(next: string) {
    setText(next)
    draft.set(next)
    if (next) chat.setTyping(true)
  }

  function send() {
    if (!canSend) return
    const attachments = ready.map((one) => one.attachment)
    chat.send(text.trim(), messageId.current, attachments)
    messageId.current = newId()
    write('')
    setUploads([])
    field.current?.focus()
  }

  function keyDown(event: KeyboardEvent) {
    // 229: some input methods say nothing else while a word is being composed.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return
    event.preventDefault()
    send()
  }

  function add(files: Iterable<File>) {
    for (const file of files) void upload(file)
  }

  async function upload(file: File) {
    const key = newId()
    const { name } = file
    setUploads((now) => [...now, { state: 'uploading', key, name }])
    const outcome: Upload = await chat.upload(file).then(
      (attachment) => ({ state: 'ready', key, name, attachment }),
      () => ({ state: 'failed', key, name }),
    )
    setUploads((now) => now.map((one) => (one.key === key ? outcome : one)))
  }

  function paste(event: ClipboardEvent) {
    const files = event.clipboardData?.files
    if (!files?.length || view.connection !== 'live') return
    event.preventDefault()
    add(files)
  }

  if (asks) {
    return (
      <div class="closed">
        <p>{strings.closed}</p>
        <button
          type="button"
          onClick={() => {
            setGoesOn(true)
            setTimeout(() => field.current?.focus())
          }}
        >
          {strings.writeAgain}
        </button>
      </div>
    )
  }
  return (
    <>
      <Notice text={view.isOver && strings.closedWriting} />
      <form
        class="composer"
        onSubmit={(event) => {
          event.preventDefault()
          send()
        }}
      >
        {uploads.length > 0 && (
          <ul class="uploads">
            {uploads.map((one) => (
              <UploadView
                key={one.key}
                upload={one}
                onRemove={() => setUploads((now) => now.filter(({ key }) => key !== one.key))}
              />
            ))}
          </ul>
        )}
        <div class="field">
          {/* A file needs a conversation to go to, so it needs a connection, and one that is not over. */}
          <button
            type="button"
            class="plain"
            aria-label={strings.attach}
            disabled={view.connection !== 'live' || view.isOver}
            onClick={() => picker.current?.click()}
          >
            <ClipIcon />
          </button>
          <input
            ref={picker}
            type="file"
            multiple
            hidden
            onChange={({ currentTarget }) => {
              add(currentTarget.files ?? [])
              currentTarget.value = ''
            }}
          />
          <textarea
            ref={field}
            rows={1}
            dir="auto"
            aria-label={strings.message}
            placeholder={strings.placeholder}
            enterkeyhint="send"
            value={text}
            onInput={({ currentTarget }) => write(currentTarget.value)}
            onKeyDown={keyDown}
            onPaste={paste}
            onBlur={() => chat.setTyping(false)}
          />
          <button type="submit" class="send" aria-label={strings.send} disabled={!canSend}>
            <SendIcon />
          </button>
        </div>
      </form>
    </>
  )
}

function UploadView({ upload: { state, name }, onRemove }: { upload: Upload; onRemove(): void }) {
  return (
    <li class={state} aria-busy={state === 'uploading'}>
      <span class="file-name" dir="auto">
        {state === 'uploading'
          ? strings.uploading(name)
          : state === 'failed'
            ? strings.uploadFailed(name)
            : name}
      </span>
      <button type="button" class="plain" aria-label={strings.removeFile(name)} onClick={onRemove}>
        <CloseIcon />
      </button>
    </li>
  )
}
