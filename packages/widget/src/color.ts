/** The inbox's colour as a ground for text and icons, and what stands on it. */
export type Fill = { fill: string; onFill: string }

/** The inbox's colour as text or a line, on a light and on a dark ground. */
export type Ink = { inkOnLight: string; inkOnDark: string }

type Rgb = readonly [number, number, number]

const white: Rgb = [255, 255, 255]
const black: Rgb = [0, 0, 0]
const darkInk: Rgb = [28, 25, 22]
/** The darkest light and the lightest dark surface of `panel.css` that accent text stands on. */
const lightGround: Rgb = [240, 236, 229]
const darkGround: Rgb = [47, 43, 39]
const fallback: Rgb = [47, 111, 94]
const enough = 4.5

/**
 * Readable by WCAG AA, 4.5 to 1. A colour near enough to carry white text is darkened until it does, and is still the
 * brand's; a lighter one stays as it is and carries dark text.
 */
export function fillOf(color: string): Fill {
  const given = parse(color)
  const fill = contrast(given, white) >= 3 ? toward(given, black, white) : given
  return { fill: write(fill), onFill: write(contrast(fill, white) >= enough ? white : darkInk) }
}

export function inkOf(color: string): Ink {
  const given = parse(color)
  return {
    inkOnLight: write(toward(given, black, lightGround)),
    inkOnDark: write(toward(given, white, darkGround)),
  }
}

/** The first step from `color` toward `end` that can be read on `ground`. */
function toward(color: Rgb, end: Rgb, ground: Rgb): Rgb {
  for (let part = 0; part < 1; part += 0.02) {
    const mixed = mix(color, end, part)
    if (contrast(mixed, ground) >= enough) return mixed
  }
  return end
}

const mix = (a: Rgb, b: Rgb, part: number): Rgb => {
  const channel = (i: 0 | 1 | 2) => Math.round(a[i] + (b[i] - a[i]) * part)
  return [channel(0), channel(1), channel(2)]
}

function contrast(a: Rgb, b: Rgb): number {
  const [x, y] = [luminance(a), luminance(b)]
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05)
}

function luminance([red, green, blue]: Rgb): number {
  const linear = (channel: number) => {
    const c = channel / 255
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4
  }
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
}

/** `#rgb` or `#rrggbb`; the usual colour for anything else. */
function parse(color: string): Rgb {
  const hex = /^#(?:[\da-f]{3}|[\da-f]{6})$/i.exec(color.trim())?.[0].slice(1)
  if (!hex) return fallback
  const long = hex.length === 3 ? hex.replace(/./g, '$&$&') : hex
  const channel = (i: number) => Number.parseInt(long.slice(i, i + 2), 16)
  return [channel(0), channel(2), channel(4)]
}

const write = (color: Rgb) => `#${color.map((channel) => channel.toString(16).padStart(2, '0')).join('')}`
