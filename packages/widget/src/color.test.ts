import { expect, test } from 'vitest'
import { fillOf, inkOf } from './color.ts'

test('a dark colour is kept and carries white text', () => {
  expect(fillOf('#2f6f5e')).toEqual({ fill: '#2f6f5e', onFill: '#ffffff' })
})

test('a middling colour is darkened until white can be read on it', () => {
  const { fill, onFill } = fillOf('#3b82f6')
  expect(onFill).toBe('#ffffff')
  expect(fill).not.toBe('#3b82f6')
  expect(contrast(fill, onFill)).toBeGreaterThanOrEqual(4.5)
})

test('a light colour is kept and carries dark text', () => {
  expect(fillOf('#ffd54a')).toEqual({ fill: '#ffd54a', onFill: '#1c1916' })
})

test('whatever the colour, text on it and text in it can be read', () => {
  for (let hue = 0; hue < 0xffffff; hue += 0x0a1b3d) {
    const color = `#${hue.toString(16).padStart(6, '0')}`
    const { fill, onFill } = fillOf(color)
    const { inkOnLight, inkOnDark } = inkOf(color)
    expect(contrast(fill, onFill), color).toBeGreaterThanOrEqual(4.5)
    expect(contrast(inkOnLight, '#faf7f2'), color).toBeGreaterThanOrEqual(4.5)
    expect(contrast(inkOnDark, '#1d1a17'), color).toBeGreaterThanOrEqual(4.5)
  }
})

test('short hex is understood, and what is no colour becomes the usual one', () => {
  expect(fillOf('#036')).toEqual(fillOf('#003366'))
  for (const wrong of ['', 'red', '#12', 'url(x)']) expect(fillOf(wrong).fill).toBe('#2f6f5e')
})

function contrast(a: string, b: string): number {
  const [x = 0, y = 0] = [a, b].map(luminance).sort((one, other) => other - one)
  return (x + 0.05) / (y + 0.05)
}

function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const c = Number.parseInt(hex.slice(at, at + 2), 16) / 255
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * r + 0.7152 * g + 0.0722 * b
}
