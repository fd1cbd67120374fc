/**
 * Owns `/inbox`: the page on which a developer sees the mails that the inbox caught, and the JSON behind it.
 * Everything a mail says is foreign: the page runs under a policy that allows its own script and style by hash and
 * nothing else, and the HTML part is shown in a sandbox of its own origin without scripts, forms or network.
 */
import type { FastifyInstance } from 'fastify'
import { MailerError } from '../../errors.ts'
import type { Inbox, InboxMail } from '../../dev/inbox-server.ts'
import { readMail, summarizeMail } from './inbox-mail.ts'
import { loadPage } from '../page.ts'

export interface InboxRoutesOptions {
  readonly inbox: Inbox
  /** The command that sends a first mail, shown while the inbox is empty. A function is asked for each page. */
  readonly hint?: string | (() => string)
}

interface ById {
  Params: { id: string }
}

const framePolicy = [
  'sandbox allow-popups allow-popups-to-escape-sandbox',
  "default-src 'none'",
  "style-src 'unsafe-inline'",
  'img-src data:',
].join('; ')

/** Fastify plugin. An unknown id throws `not_found`; the app's error handler answers it. */
export async function inboxRoutes(app: FastifyInstance, { inbox, hint = '' }: InboxRoutesOptions) {
  const page = await loadPage('inbox.html', [
    "connect-src 'self'",
    "frame-src 'self'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ])

  const mailOf = (id: string): InboxMail => {
    const mail = inbox.find(id)
    if (!mail) throw new MailerError('not_found')
    return mail
  }

  app.addHook('onRequest', async (_request, reply) => {
    reply.headers({
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    })
  })

  app.get('/inbox', async (_request, reply) => {
    reply.type('text/html; charset=utf-8').header('content-security-policy', page.policy)
    const command = typeof hint === 'function' ? hint() : hint
    return page.html.replace('<!--hint-->', () => escapeHtml(command))
  })

  app.get('/inbox/messages', async () => Promise.all(inbox.list().map(summarizeMail)))

  app.delete('/inbox/messages', async (_request, reply) => {
    inbox.clear()
    return reply.code(204).send()
  })

  app.get<ById>('/inbox/messages/:id', async ({ params }) => readMail(mailOf(params.id)))

  app.get<ById>('/inbox/messages/:id/html', async ({ params }, reply) => {
    const { html } = await readMail(mailOf(params.id))
    if (html === null) throw new MailerError('not_found')
    reply.type('text/html; charset=utf-8').header('content-security-policy', framePolicy)
    return openOutside(html)
  })

  app.get<ById>('/inbox/messages/:id/source', async ({ params }, reply) => {
    const { source } = mailOf(params.id)
    return reply.type('text/plain; charset=utf-8').send(source)
  })
}

function escapeHtml(value: string): string {
  return value.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}

/** Lets links open in a tab of their own: inside the frame the page's policy would stop them. */
function openOutside(html: string): string {
  const base = '<base target="_blank">'
  // After the doctype, or the browser would fall into quirks mode.
  const place = /<head(?:\s[^<>]*)?>/i.exec(html) ?? /^\s*<!doctype[^<>]*>/i.exec(html)
  if (!place) return base + html
  const at = place.index + place[0].length
  return html.slice(0, at) + base + html.slice(at)
}
