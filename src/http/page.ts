/**
 * Owns how pages are served: our own under the policy that belongs to them; the HTML of a mail, which is foreign, in a
 * sandbox without scripts, forms or network.
 */
import type { FastifyReply } from 'fastify'
import type { HtmlPage } from '../html-page.ts'

/** For everything at and under a page; a page and a frame then name a policy of their own. */
export const pageHeaders = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
} as const

/** What a page needs that the service serves, and that reads its JSON from there. */
export const servedPage = ["connect-src 'self'", "frame-ancestors 'none'"] as const

/** For what a mail says, in a frame of such a page. */
export const foreignFrame = {
  'content-security-policy': [
    'sandbox allow-popups allow-popups-to-escape-sandbox',
    "default-src 'none'",
    "style-src 'unsafe-inline'",
    'img-src data:',
    "frame-ancestors 'self'",
  ].join('; '),
  'referrer-policy': 'no-referrer',
} as const

/** Which of our pages this service has. */
export interface Sites {
  readonly inbox?: boolean
  readonly preview?: boolean
  readonly docs?: boolean
  readonly admin?: boolean
}

const siteNames = { inbox: 'Inbox', preview: 'Mails', docs: 'API', admin: 'Operator' } as const

/** The way from one of our pages to the others, in the place of `<!--sites-->`. Nothing when there is only one. */
export function withNavigation(page: HtmlPage, current: keyof Sites, sites: Sites): HtmlPage {
  const links = (['inbox', 'preview', 'docs', 'admin'] as const)
    .filter((site) => site === current || sites[site])
    .map(
      (site) => `<a href="${site}"${site === current ? ' aria-current="page"' : ''}>${siteNames[site]}</a>`,
    )
  const html = links.length > 1 ? `<nav class="sites" aria-label="Pages">${links.join('')}</nav>` : ''
  return { ...page, html: page.html.replace('<!--sites-->', html) }
}

export function sendPage(reply: FastifyReply, { html, policy }: HtmlPage): FastifyReply {
  return reply.type('text/html; charset=utf-8').header('content-security-policy', policy).send(html)
}

/** Inside the frame the page's policy would stop a link, so each opens a tab of its own. */
export function openLinksOutside(html: string): string {
  const base = '<base target="_blank">'
  // after the doctype, or the browser would fall into quirks mode
  const place = /<head(?:\s[^<>]*)?>/i.exec(html) ?? /^\s*<!doctype[^<>]*>/i.exec(html)
  if (!place) return base + html
  const at = place.index + place[0].length
  return html.slice(0, at) + base + html.slice(at)
}
