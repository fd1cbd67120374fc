/** Owns how a page of ours is served: one file with its own style and script, which alone its policy allows, by hash. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'

export interface Page {
  readonly html: string
  /** A Content-Security-Policy. */
  readonly policy: string
}

/** `file` lies beside this one. `directives` come on top of what every page of ours is allowed. */
export async function loadPage(file: string, directives: readonly string[] = []): Promise<Page> {
  const html = await readFile(new URL(file, import.meta.url), 'utf8')
  const policy = [
    "default-src 'none'",
    `script-src ${hashOf('script', html)}`,
    `style-src ${hashOf('style', html)}`,
    'img-src data:',
    "base-uri 'none'",
    ...directives,
  ].join('; ')
  return { html, policy }
}

function hashOf(tag: 'script' | 'style', html: string): string {
  const start = html.indexOf(`<${tag}>`) + tag.length + 2
  const content = html.slice(start, html.indexOf(`</${tag}>`, start))
  return `'sha256-${createHash('sha256').update(content).digest('base64')}'`
}
