import { RichText } from '../thread/rich-text.tsx'
import { Fact } from './details-pane.tsx'

/** Free data from outside: one line per key, nested values as JSON. Nothing when there is none. */
export function MetadataList({ title, metadata }: { title: string; metadata: Record<string, unknown> }) {
  const entries = Object.entries(metadata)
  if (entries.length === 0) return null
  return (
    <>
      <h3>{title}</h3>
      <dl className="facts">
        {entries.map(([key, value]) => (
          <Fact key={key} name={key}>
            <RichText text={typeof value === 'string' ? value : JSON.stringify(value)} />
          </Fact>
        ))}
      </dl>
    </>
  )
}
