import { findLinks } from './links.ts'

/** Text from outside: text nodes and safe links, never markup. */
export function RichText({ text }: { text: string }) {
  return findLinks(text).map((piece, index) =>
    typeof piece === 'string' ? (
      piece
    ) : (
      // biome-ignore lint/suspicious/noArrayIndexKey: pieces of one text never move.
      <a key={index} href={piece.href} target="_blank" rel="noopener noreferrer nofollow">
        {piece.text}
      </a>
    ),
  )
}
