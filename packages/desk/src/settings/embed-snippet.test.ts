import { expect, test } from 'vitest'
import { embedSnippet } from './embed-snippet.ts'

test('the snippet is one script tag with the key of the inbox', () => {
  expect(embedSnippet({ widgetKey: 'wk_123' }, 'https://chat.example')).toBe(
    '<script src="https://chat.example/widget/loader.js" data-inbox="wk_123" async></script>',
  )
})

test('nothing in it can end its attribute', () => {
  expect(embedSnippet({ widgetKey: '"><b' }, 'https://chat.example')).toContain('data-inbox="&quot;>&lt;b"')
})
