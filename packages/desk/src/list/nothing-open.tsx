import { FirstSteps, useIsNew } from './first-steps.tsx'

/** Beside the list while no conversation is open. */
export function NothingOpen() {
  if (useIsNew()) {
    return (
      <main className="pane nothing-open thread-pane">
        <FirstSteps />
      </main>
    )
  }
  return (
    <main className="pane nothing-open thread-pane">
      <div className="page-message">
        <h2>Choose a conversation</h2>
        <p className="keys">
          <span>
            <kbd>J</kbd> <kbd>K</kbd> move along the list
          </span>
          <span>
            <kbd>Enter</kbd> opens, <kbd>Esc</kbd> goes back
          </span>
          <span>
            <kbd>T</kbd> takes
          </span>
          <span>
            <kbd>R</kbd> replies, <kbd>N</kbd> writes a note
          </span>
        </p>
      </div>
    </main>
  )
}
