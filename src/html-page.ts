/**
 * Owns the loading of one of our HTML pages, with a policy that allows its own style and script by hash.
 *
 * A leaf, because the service serves such a page and `jwt-mailer preview` writes one into a file.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'

export interface HtmlPage {
  readonly html: string
  /** A Content-Security-Policy. */
  readonly policy: string
}

/** `directives` are added to those that every page of ours has. */
export async function loadPage(file: URL, directives: readonly string[] = []): Promise<HtmlPage> {
  const html = await readFile(file, 'utf8')
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
