/** Owns the colours: a light and a dark design from an app's one accent colour, both readable (WCAG 2.2 AA). */

export const light = {
  ground: '#f1f3f6',
  card: '#ffffff',
  border: '#dde1e7',
  text: '#171b22',
  soft: '#4a5361',
  box: '#f1f3f6',
} as const
export const dark = {
  ground: '#101216',
  card: '#1b1e25',
  border: '#3a404c',
  text: '#f2f4f8',
  soft: '#b4bcc8',
  box: '#101216',
} as const

export interface Palette {
  /** Ground and label of the button. */
  readonly accent: string
  readonly label: string
  readonly darkAccent: string
  readonly darkLabel: string
}

const labelContrast = 4.5
const shapeContrast = 3

/** Returns a sentence instead when the colour cannot be seen against the white card. */
export function paletteOf(accent: string): Palette | string {
  const label = [light.card, light.text, '#000000'].find(
    (colour) => contrast(colour, accent) >= labelContrast,
  )
  if (!label || contrast(accent, light.card) < shapeContrast) {
    const better = mixUntil(accent, '#000000', (colour) => contrast(colour, light.card) >= labelContrast)
    return `${accent} is too pale for a button on a white card (contrast ${contrast(accent, light.card).toFixed(1)} to 1, 3 to 1 is needed); ${better} would do`
  }
  const darkAccent = mixUntil(accent, '#ffffff', (colour) => contrast(colour, dark.ground) >= 7)
  return { accent, label, darkAccent, darkLabel: dark.ground }
}

/** Ratio of two `#rrggbb` colours, 1 to 21 (WCAG 2.2, relative luminance). */
export function contrast(one: string, other: string): number {
  const [first, second] = [luminance(one), luminance(other)]
  return (Math.max(first, second) + 0.05) / (Math.min(first, second) + 0.05)
}

function luminance(colour: string): number {
  const [red, green, blue] = channels(colour)
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
}

function linear(channel: number): number {
  const share = channel / 255
  return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
}

function channels(colour: string): [number, number, number] {
  const value = Number.parseInt(colour.slice(1), 16)
  return [value >> 16, (value >> 8) & 255, value & 255]
}

function mixUntil(from: string, to: string, enough: (colour: string) => boolean): string {
  const [start, end] = [channels(from), channels(to)]
  for (let step = 0; step < 20; step++) {
    const colour = `#${start.map((channel, index) => hexByte(channel + ((end[index]! - channel) * step) / 20)).join('')}`
    if (enough(colour)) return colour
  }
  return to
}

function hexByte(value: number): string {
  return Math.round(value).toString(16).padStart(2, '0')
}
