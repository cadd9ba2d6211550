import { ParleyError } from '@parley/client'
import { type FormEvent, type InputHTMLAttributes, type ReactNode, useEffect, useId, useState } from 'react'

type WelcomeFormProps = {
  title: string
  lead?: string
  action: string
  /** Reads a field by its name. Throws what went wrong. */
  submit(field: (name: string) => string): Promise<void>
  cancel?: { label: string; run(): void }
  children: ReactNode
}

/** A form that says what went wrong in words, and cannot be sent twice at once. */
export function WelcomeForm({ title, lead, action, submit, cancel, children }: WelcomeFormProps) {
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<string | null>(null)
  useEffect(() => {
    document.title = `${title} · Parley`
  }, [title])

  async function send(event: FormEvent<HTMLFormElement>) {
    event.preventDefault()
    if (busy) return
    const values = new FormData(event.currentTarget)
    setBusy(true)
    setProblem(null)
    try {
      await submit((name) => String(values.get(name) ?? ''))
    } catch (error) {
      setProblem(inWords(error))
    } finally {
      setBusy(false)
    }
  }

  return (
    <form className="welcome-form" onSubmit={send}>
      <h1>{title}</h1>
      {lead ? <p className="lead">{lead}</p> : null}
      {children}
      <p className="problem" role="alert">
        {problem}
      </p>
      <button type="submit" className="button primary" disabled={busy}>
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
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {/* biome-ignore lint/a11y/noAutofocus: the form is all there is on the page. */}
      <input {...input} id={id} required autoFocus={autoFocus} aria-describedby={hint && `${id}-hint`} />
      {hint ? (
        <small id={`${id}-hint`} className="hint">
          {hint}
        </small>
      ) : null}
    </div>
  )
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
