/**
 * One colour of the inbox becomes those the widget needs, each readable where it stands: WCAG AA, 4.5 to 1 for text.
 */
export type Accent = {
  /** Behind text and icons: the inbox's colour, darkened a little where that lets white text stand on it. */
  fill: string
  /** Text and icons on `fill`. */
  onFill: string
  /** The colour as text or a line on a light and on a dark ground. */
  inkOnLight: string
  inkOnDark: string
}

type Rgb = readonly [number, number, number]

const white: Rgb = [255, 255, 255]
const black: Rgb = [0, 0, 0]
const darkInk: Rgb = [28, 25, 22]
/** The darkest light and the lightest dark surface of `panel.css` that accent text stands on. */
const lightGround: Rgb = [240, 236, 229]
const darkGround: Rgb = [47, 43, 39]
const fallback: Rgb = [47, 111, 94]
const enough = 4.5

export function accentOf(color: string): Accent {
  const given = parse(color) ?? fallback
  // Near enough to white text that a shade darker is still the brand's colour; beyond that, dark text.
  const fill = contrast(given, white) >= 3 ? toward(given, black, white) : given
  return {
    fill: write(fill),
    onFill: write(contrast(fill, white) >= enough ? white : darkInk),
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

/** `#rgb` or `#rrggbb`; null for anything else. */
function parse(color: string): Rgb | null {
  const hex = /^#(?:[\da-f]{3}|[\da-f]{6})$/i.exec(color.trim())?.[0].slice(1)
  if (!hex) return null
  const long = hex.length === 3 ? hex.replace(/./g, '$&$&') : hex
  const channel = (i: number) => Number.parseInt(long.slice(i, i + 2), 16)
  return [channel(0), channel(2), channel(4)]
}

const write = (color: Rgb) => `#${color.map((channel) => channel.toString(16).padStart(2, '0')).join('')}`
