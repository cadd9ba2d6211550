import { memoryStorage, type ParleyStorage } from '@parley/client'
import { describe, expect, test } from 'vitest'
import { type DraftPage, draftOf } from './draft.ts'

const key = 'shop:draft'

/** Tabs of one browser: each hears what the others store. */
function browser() {
  const shared = memoryStorage()
  const pages: Page[] = []

  function tellOthers(writer: Page, newValue: string | null) {
    for (const page of pages) {
      if (page !== writer) page.dispatchEvent(Object.assign(new Event('storage'), { key, newValue }))
    }
  }

  function tab(page = new Page()) {
    if (!pages.includes(page)) pages.push(page)
    const storage: ParleyStorage = {
      ...shared,
      set(name, value) {
        shared.set(name, value)
        tellOthers(page, value)
      },
      remove(name) {
        shared.remove(name)
        tellOthers(page, null)
      },
    }
    const draft = draftOf(storage, 'shop', page as unknown as DraftPage)
    const stop = draft.onChange(() => {})
    const leave = () => {
      page.dispatchEvent(new Event('pagehide'))
      stop()
    }
    return {
      ...draft,
      leave,
      reload() {
        leave()
        return tab(page)
      },
    }
  }
  return { tab }
}

class Page extends EventTarget {
  private readonly kept = memoryStorage()
  readonly sessionStorage = {
    getItem: this.kept.get,
    setItem: this.kept.set,
    removeItem: this.kept.remove,
  }
}

describe('a draft in several tabs', () => {
  test('what another tab writes and sends leaves one’s own text alone, on screen and over a reload', () => {
    const { tab } = browser()
    const [first, second] = [tab(), tab()]
    second.set('half a thou')
    first.set('')
    first.set('Hello')
    first.set('')
    expect(second.get()).toBe('half a thou')
    expect(second.reload().get()).toBe('half a thou')
  })

  test('a tab that sends leaves the other one’s text in the storage', () => {
    const { tab } = browser()
    const [first, second] = [tab(), tab()]
    first.set('Hello')
    second.set('half a thou')
    first.set('')
    expect(tab().get()).toBe('half a thou')
  })

  test('a tab with nothing of its own follows another, until something is typed in it', () => {
    const { tab } = browser()
    const [first, second] = [tab(), tab()]
    first.set('Hel')
    first.set('Hello')
    expect(second.get()).toBe('Hello')
    first.set('')
    expect(second.get()).toBe('')
    first.set('Again')
    second.set('Again, and mine')
    first.set('')
    expect(second.get()).toBe('Again, and mine')
  })

  test('a new tab begins with what was last written, and follows it', () => {
    const { tab } = browser()
    const first = tab()
    first.set('Hello')
    const second = tab()
    expect(second.get()).toBe('Hello')
    first.set('')
    expect(second.get()).toBe('')
  })

  test('a tab that is closed leaves its text to the next one', () => {
    const { tab } = browser()
    const [first, second] = [tab(), tab()]
    second.set('half a thou')
    first.set('Hello')
    first.set('')
    second.leave()
    expect(tab().get()).toBe('half a thou')
  })

  test('a page without storage of its own keeps its draft while it is open', () => {
    const page = Object.defineProperty(new EventTarget(), 'sessionStorage', {
      get() {
        throw new Error('forbidden')
      },
    })
    const draft = draftOf(memoryStorage(), 'shop', page as unknown as DraftPage)
    draft.set('Hello')
    expect(draft.get()).toBe('Hello')
  })
})
