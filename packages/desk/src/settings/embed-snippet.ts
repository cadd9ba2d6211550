import type { Inbox } from '@parley/protocol'

/** The one line that puts an inbox on a page. `origin`: where this desk was opened, which is where the server is. */
export function embedSnippet({ widgetKey }: Pick<Inbox, 'widgetKey'>, origin: string): string {
  return `<script src="${attribute(origin)}/widget/loader.js" data-inbox="${attribute(widgetKey)}" async></script>`
}

const attribute = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;')
