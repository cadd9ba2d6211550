/** A line above the composer. Its place is always in the document, so that a screen reader hears what comes into it. */
export function Notice({ text }: { text: string | false | null }) {
  return (
    <div class="notice" role="status">
      {text && <p>{text}</p>}
    </div>
  )
}
