import type { Typist } from '@parley/client'

/** Who is typing now, by name. It keeps its place, so that nothing jumps when it comes and goes. */
export function TypingLine({ typing }: { typing: readonly Typist[] }) {
  return (
    <p className="typing" role="status">
      {typing.length > 0 ? (
        <>
          <span className="typing-dots" aria-hidden="true">
            <i />
            <i />
            <i />
          </span>
          {typingText(typing.map((one) => one.name))}
        </>
      ) : null}
    </p>
  )
}

export function typingText(names: readonly string[]): string {
  const [first = 'Somebody', second] = names
  if (names.length === 1) return `${first} is typing…`
  if (names.length === 2) return `${first} and ${second} are typing…`
  return `${first}, ${second} and ${names.length - 2} more are typing…`
}
