import { type ReactNode, useEffect } from 'react'

/** In place of a form that could not work: why, and the way on. */
export function WelcomeNote(props: {
  title: string
  children: ReactNode
  way: { label: string; run(): void }
}) {
  const { title, children, way } = props
  useEffect(() => {
    document.title = `${title} · Parley`
  }, [title])
  return (
    <section className="welcome-form">
      <h1>{title}</h1>
      {children}
      <button type="button" className="button" onClick={way.run}>
        {way.label}
      </button>
    </section>
  )
}
