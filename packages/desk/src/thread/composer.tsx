import type { ConversationStore, ConversationView } from '@parley/client'
import {
  type ClipboardEvent,
  type DragEvent,
  type KeyboardEvent,
  useLayoutEffect,
  useRef,
  useState,
} from 'react'
import { Icon } from '../icons.tsx'
import { useShortcuts } from '../shell/shortcuts.ts'
import { tell } from '../toasts.tsx'
import { sizeName } from './attachments.tsx'
import { emptyDraft } from './draft.ts'
import type { Drafting } from './drafting.ts'
import './composer.css'

type ComposerProps = {
  store: ConversationStore
  shown: ConversationView
  drafting: Drafting
  /** Escape: the keyboard goes elsewhere. */
  onLeave(): void
}

/** Where answers and notes are written. Enter sends, Shift+Enter begins a line. */
export function Composer({ store, shown, drafting: { draft, change, field: text }, onLeave }: ComposerProps) {
  const [uploading, setUploading] = useState<readonly string[]>([])
  const [isOver, setIsOver] = useState(false)
  const files = useRef<HTMLInputElement>(null)
  useHeightOf(text, draft.body)

  function switchTo(isNote: boolean) {
    change((old) => ({ ...old, isNote }))
    text.current?.focus()
  }
  useShortcuts({ r: () => switchTo(false), n: () => switchTo(true) })

  const status = shown.conversation?.status
  const isArchived = status === 'archived'
  const isEmpty = draft.body.trim() === '' && draft.attachments.length === 0
  const canSend = !isEmpty && uploading.length === 0 && !isArchived

  function send() {
    if (!canSend) return
    const { body, attachments, clientMessageId, isNote } = draft
    store[isNote ? 'note' : 'send']({ body: body.trim() ? body : '', attachments, clientMessageId })
    change(() => emptyDraft(isNote))
    text.current?.focus()
  }

  function press(event: KeyboardEvent) {
    if (event.key === 'Escape') {
      event.preventDefault()
      onLeave()
      return
    }
    // While an input method composes, Enter chooses a word. Safari says so only by the old key code.
    const composing = event.nativeEvent.isComposing || event.keyCode === 229
    if (event.key !== 'Enter' || event.shiftKey || composing) return
    event.preventDefault()
    send()
  }

  async function attach(chosen: readonly File[]) {
    if (isArchived) return
    setUploading((names) => [...names, ...chosen.map((file) => file.name)])
    for (const file of chosen) {
      try {
        const attachment = await store.upload(file, file.name)
        change((old) => ({ ...old, attachments: [...old.attachments, attachment] }))
      } catch (error) {
        tell(`${file.name} could not be attached. ${error instanceof Error ? error.message : ''}`)
      }
      setUploading((names) => names.toSpliced(names.indexOf(file.name), 1))
    }
    text.current?.focus()
  }
  function paste(event: ClipboardEvent) {
    const pasted = [...event.clipboardData.files]
    if (pasted.length === 0) return
    event.preventDefault()
    void attach(pasted)
  }
  function drop(event: DragEvent) {
    event.preventDefault()
    setIsOver(false)
    void attach([...event.dataTransfer.files])
  }

  return (
    <form
      className="composer"
      data-note={draft.isNote || undefined}
      data-over={isOver || undefined}
      onSubmit={(event) => {
        event.preventDefault()
        send()
      }}
      onDragOver={(event) => {
        event.preventDefault()
        setIsOver(true)
      }}
      onDragLeave={() => setIsOver(false)}
      onDrop={drop}
    >
      <div className="composer-box">
        <fieldset className="composer-modes" aria-label="Who will see it">
          <button
            type="button"
            aria-pressed={!draft.isNote}
            onClick={() => switchTo(false)}
            aria-keyshortcuts="R"
            title="Reply to everybody (R)"
          >
            Reply
          </button>
          <button
            type="button"
            aria-pressed={draft.isNote}
            onClick={() => switchTo(true)}
            aria-keyshortcuts="N"
            title="Note for the team (N)"
          >
            Note
          </button>
          {status === 'closed' && !draft.isNote ? (
            <span className="hint">Closed. A reply opens it again, if it was closed not long ago.</span>
          ) : null}
          {isArchived ? <span className="hint">Archived. Reopen it to write.</span> : null}
        </fieldset>
        <textarea
          ref={text}
          rows={1}
          value={draft.body}
          disabled={isArchived}
          aria-label={draft.isNote ? 'Write a note' : 'Write a reply'}
          placeholder={draft.isNote ? 'Only the team will see this note' : 'Write a reply'}
          onChange={(event) => {
            const body = event.target.value
            change((old) => ({ ...old, body }))
            if (!draft.isNote) store.setTyping(body !== '')
          }}
          onBlur={() => store.setTyping(false)}
          onKeyDown={press}
          onPaste={paste}
        />
        {draft.attachments.length + uploading.length > 0 ? (
          <ul className="composer-files" aria-label="Attached files">
            {draft.attachments.map((file) => (
              <li key={file.id}>
                <Icon name="file" />
                <span className="file-name">{file.name}</span>
                <span className="hint">{sizeName(file.size)}</span>
                <button
                  type="button"
                  aria-label={`Remove ${file.name}`}
                  onClick={() =>
                    change((old) => ({
                      ...old,
                      attachments: old.attachments.filter((one) => one.id !== file.id),
                    }))
                  }
                >
                  <Icon name="close" />
                </button>
              </li>
            ))}
            {uploading.map((name, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: two files may have one name.
              <li key={`${name} ${index}`} data-uploading="">
                <Icon name="wait" />
                <span className="file-name">{name}</span>
                <span className="hint">Uploading…</span>
              </li>
            ))}
          </ul>
        ) : null}
        <div className="composer-bar">
          <input
            ref={files}
            type="file"
            multiple
            hidden
            onChange={(event) => {
              void attach([...(event.target.files ?? [])])
              event.target.value = ''
            }}
          />
          <button
            type="button"
            className="button icon-only"
            aria-label="Attach files"
            title="Attach files"
            disabled={isArchived}
            onClick={() => files.current?.click()}
          >
            <Icon name="attach" />
          </button>
          <span className="hint composer-hint">
            <kbd>Enter</kbd> sends, <kbd>Shift</kbd> <kbd>Enter</kbd> begins a line
          </span>
          <button
            type="submit"
            className="button primary"
            aria-disabled={!canSend}
            aria-label={draft.isNote ? 'Add note' : 'Send'}
          >
            {draft.isNote ? 'Add note' : 'Send'}
            <Icon name={draft.isNote ? 'note' : 'send'} />
          </button>
        </div>
      </div>
    </form>
  )
}

/** As high as what is written, within what the style allows. */
function useHeightOf(area: React.RefObject<HTMLTextAreaElement | null>, body: string) {
  // biome-ignore lint/correctness/useExhaustiveDependencies: the height follows from the text.
  useLayoutEffect(() => {
    const element = area.current
    if (!element) return
    element.style.blockSize = 'auto'
    element.style.blockSize = `${element.scrollHeight}px`
  }, [area, body])
}
