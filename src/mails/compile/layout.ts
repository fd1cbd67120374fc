/** Owns the frame of the HTML part: `layout.html` cut at its slots, colours filled in. */
import { logoHtml, logoStyle } from './brand.ts'
import { font } from './html.ts'
import { dark, light, type Palette } from './palette.ts'
import type { Part } from './placeholders.ts'
import type { Logo } from '../app-settings.ts'
import type { Problems } from '../problem.ts'
import { escapeHtml } from '../../escape-html.ts'

export interface Layout {
  readonly file: string
  /** Literals at even places, slot names at odd ones. */
  readonly pieces: readonly string[]
}

const filledSlots = ['subject', 'preheader', 'content', 'footer'] as const
type FilledSlot = (typeof filledSlots)[number]
const needed = [...filledSlots, 'lang', 'dir']
const known = new Set([
  ...needed,
  'app.name',
  'logo',
  'logo.dark',
  'font',
  'accent',
  'label',
  ...Object.keys(light),
  ...Object.keys(dark).map((name) => `dark.${name}`),
  'dark.accent',
  'dark.label',
])

export function parseLayout(html: string, file: string, problems: Problems): Layout {
  const pieces = html.replace(/\r\n?/g, '\n').split(/\{\{\s*([\w.]+)\s*\}\}/)
  let line = 1
  for (const [index, piece] of pieces.entries()) {
    const unknown = index % 2 === 1 && !known.has(piece)
    if (unknown)
      problems.add(file, line, `{{ ${piece} }} is not a slot of a layout; there are ${[...known].join(', ')}`)
    if (index % 2 === 0) line += piece.split('\n').length - 1
  }
  const slots = new Set(pieces.filter((_, index) => index % 2 === 1))
  for (const name of needed.filter((slot) => !slots.has(slot)))
    problems.add(file, 1, `a layout needs {{ ${name} }} in it`)
  return { file, pieces }
}

/** What a frame lacks to show the logo of its app. */
export function logoFault({ file, pieces }: Layout, logo: Logo | undefined): string | undefined {
  const has = (slot: string) => pieces.some((piece, index) => index % 2 === 1 && piece === slot)
  if (logo && !has('logo'))
    return `${file} has no place for it: write {{ logo }} where the name of the app stands`
  if (logo?.dark !== undefined && !has('logo.dark'))
    return `${file} has no style for the dark one: write {{ logo.dark }} in front of </style>`
  return undefined
}

export interface Frame {
  readonly lang: string
  readonly dir: 'ltr' | 'rtl'
  readonly appName: string
  readonly logo: Logo | undefined
  readonly palette: Palette
}

/** The whole HTML part: all but the four slots is constant from here on. */
export function fillLayout(layout: Layout, frame: Frame, slots: Record<FilledSlot, readonly Part[]>): Part[] {
  const filled = new Map<string, readonly Part[]>(Object.entries(slots))
  const fixed: Record<string, string> = {
    ...light,
    ...Object.fromEntries(Object.entries(dark).map(([name, colour]) => [`dark.${name}`, colour])),
    accent: frame.palette.accent,
    label: frame.palette.label,
    'dark.accent': frame.palette.darkAccent,
    'dark.label': frame.palette.darkLabel,
    lang: escapeHtml(frame.lang),
    dir: frame.dir,
    font,
    'app.name': escapeHtml(frame.appName),
    logo: logoHtml(frame.logo, frame.appName),
    'logo.dark': logoStyle(frame.logo),
  }
  return layout.pieces.flatMap((piece, index): readonly Part[] => {
    if (index % 2 === 0) return [piece]
    return filled.get(piece) ?? [fixed[piece] ?? '']
  })
}
