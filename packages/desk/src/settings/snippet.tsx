import type { Inbox } from '@parley/protocol'
import { Copied } from './copied.tsx'
import { embedSnippet } from './embed-snippet.ts'

export function Snippet({ inbox }: { inbox: Pick<Inbox, 'widgetKey' | 'name'> }) {
  return <Copied text={embedSnippet(inbox, location.origin)} label={`Embed code of ${inbox.name}`} />
}
