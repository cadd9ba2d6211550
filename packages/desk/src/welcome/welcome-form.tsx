import { ParleyError } from '@parley/client'
import {
  createContext,
  type FormEvent,
  type InputHTMLAttributes,
  type ReactNode,
  useContext,
  useEffect,
  useId,
  useRef,
  useState,
} from 'react'

type WelcomeFormProps = {
  title: string
  lead?: string
  action: string
  /** Reads a field by its name. Throws what went wrong. */
  submit(field: (name: string) => string): Promise<void>
  cancel?: { label: string; run(): void }
  children: ReactNode
}

/** What went wrong: in words, and the name of the field it is about, if it is about one. */
type Problem = { text: string; field: string | null }

const Fault = createContext<{ field: string | null; describedBy: string } | null>(null)

/**
 * A form that says what went wrong in words, and cannot be sent twice at once. Whoever has to correct a field stands in
 * it already. The button stays enabled while it asks: a disabled one drops the focus.
 */
export function WelcomeForm({ title, lead, action, submit, cancel, children }: WelcomeFormProps) {
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<Problem | null>(null)
  const form = useRef<HTMLFormElement>(null)
  const problemId = useId()
  useEffect(() => {
    document.title = `${title} · Parley`
  }, [title])
  useEffect(() => {
    const input = problem?.field ? form.current?.elements.namedItem(problem.field) : null
    if (!(input instanceof HTMLInputElement)) return
    input.focus()
    input.select()
  }, [problem])

  async function send(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    if (busy) return
    const values = new FormData(event.currentTarget)
    setBusy(true)
    setProblem(null)
    try {
      await submit((name) => String(values.get(name) ?? ''))
    } catch (error) {
      setProblem(problemOf(error))
    } finally {
      setBusy(false)
    }
  }

  return (
    <form className="welcome-form" onSubmit={send} ref={form}>
      <h1>{title}</h1>
      {lead ? <p className="lead">{lead}</p> : null}
      <Fault value={problem && { field: problem.field, describedBy: problemId }}>{children}</Fault>
      <p className="problem" role="alert" id={problemId}>
        {problem?.text}
      </p>
      <button type="submit" className="button primary" aria-disabled={busy}>
        {busy ? 'One moment…' : action}
      </button>
      {cancel ? (
        <button type="button" className="button plain" onClick={cancel.run}>
          {cancel.label}
        </button>
      ) : null}
    </form>
  )
}

type FieldProps = { label: string; name: string; hint?: string } & InputHTMLAttributes<HTMLInputElement>

export function Field({ label, hint, autoFocus, ...input }: FieldProps) {
  const id = useId()
  const fault = useContext(Fault)
  const isAtFault = fault?.field === input.name
  const describedBy = [hint && `${id}-hint`, isAtFault && fault?.describedBy].filter(Boolean).join(' ')
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        {...input}
        id={id}
        required
        // biome-ignore lint/a11y/noAutofocus: the form is all there is on the page.
        autoFocus={autoFocus}
        aria-invalid={isAtFault || undefined}
        aria-describedby={describedBy || undefined}
      />
      {hint ? (
        <small id={`${id}-hint`} className="hint">
          {hint}
        </small>
      ) : null}
    </div>
  )
}

function problemOf(error: unknown): Problem {
  return { text: inWords(error), field: error instanceof ParleyError ? fieldOf(error) : null }
}

function fieldOf({ code, details }: ParleyError): string | null {
  if (code === 'invalid_credentials') return 'password'
  if (code === 'already_exists') return 'email'
  return typeof details.field === 'string' ? details.field : null
}

function inWords(error: unknown): string {
  if (!(error instanceof ParleyError)) return 'Something went wrong on this page. Reload it and try again.'
  switch (error.code) {
    case 'setup_done':
      return 'This link has been used: the server has its owner. Sign in instead.'
    case 'forbidden':
    case 'registration_refused':
    case 'not_found':
      return 'This link is not valid any more. Ask for a new one.'
    case 'already_exists':
      return 'There is an account with this e-mail already. Sign in instead.'
    case 'network':
    case 'timeout':
      return 'The server cannot be reached. Check the connection and try again.'
    default:
      return error.message
  }
}
