/**
 * The header that names a download (RFC 6266, RFC 8187). Whatever the name holds, only letters, digits and a few
 * marks get out as they are, so it cannot end the header or add a parameter.
 */
export function dispositionOf(kind: 'inline' | 'attachment', name: string): string {
  const simple = name.replace(/[^\w .()+-]/g, '_')
  const exact = encodeURIComponent(name.toWellFormed()).replace(
    /['()*]/g,
    (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return `${kind}; filename="${simple}"; filename*=UTF-8''${exact}`
}
