/** Owns what an app puts around each of its mails: the logo above, the footer and the company below. */
import type { AppSettings, Logo } from '../app-settings.ts'
import type { Block, Inline } from './blocks.ts'
import { escapeHtml } from '../../escape-html.ts'

/** At the top of the card. A reader without images sees the alternative text in its place, which is the app's name. */
export function logoHtml(logo: Logo | undefined, appName: string): string {
  if (!logo) return escapeHtml(appName)
  const { url, dark, width, alt = appName } = logo
  const image = (attributes: string, src: string, display: string) =>
    `<img ${attributes}src="${escapeHtml(src)}" width="${width}" alt="${escapeHtml(alt)}" style="display:${display};width:${width}px;max-width:100%;height:auto;border:0">`
  if (dark === undefined) return image('', url, 'block')
  // Outlook for Windows knows no `display` and would show both
  return `${image('class="l" ', url, 'block')}<!--[if !mso]><!-->${image('class="d" ', dark, 'none')}<!--<![endif]-->`
}

/** Puts the dark logo in the place of the light one. */
export function logoStyle(logo: Logo | undefined): string {
  if (logo?.dark === undefined) return ''
  return '@media (prefers-color-scheme:dark){\n.l{display:none!important}\n.d{display:block!important}\n}\n'
}

/** The blocks of the mail, and below its small print what the app says under each of its mails. */
export function withAppFooter(blocks: readonly Block[], { footer, company }: AppSettings): readonly Block[] {
  const below = [footer, company && [company.name, company.address].filter(Boolean).join('\n')]
  const paragraphs = below.flatMap((text) => (text ? [paragraphOf(text)] : []))
  if (paragraphs.length === 0) return blocks
  const hasRule = blocks.some(({ kind }) => kind === 'rule')
  return [...blocks, ...(hasRule ? [] : [{ kind: 'rule' } as const]), ...paragraphs]
}

function paragraphOf(text: string): Block {
  const inner = text
    .split('\n')
    .flatMap((line, index): Inline[] => (index === 0 ? [line] : [{ kind: 'break' }, line]))
  return { kind: 'paragraph', inner }
}
