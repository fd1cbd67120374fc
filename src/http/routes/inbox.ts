/**
 * Owns `/inbox`: the page on which a developer sees the mails that the inbox caught, and the JSON behind it.
 * Everything a mail says is foreign: the page runs under a policy that allows its own script and style by hash and
 * nothing else, and the HTML part is shown in a sandbox of its own origin without scripts, forms or network.
 */
import type { FastifyInstance } from 'fastify'
import { MailerError } from '../../errors.ts'
import type { Inbox, InboxMail } from '../../dev/inbox-server.ts'
import { readMail, summarizeMail } from './inbox-mail.ts'
import { escapeHtml } from '../../escape-html.ts'
import { loadPage } from '../../html-page.ts'
import { foreignFrame, openLinksOutside, pageHeaders, sendPage, servedPage } from '../page.ts'

export interface InboxRoutesOptions {
  readonly inbox: Inbox
  /** The command that sends a first mail, shown while the inbox is empty. A function is called for each page. */
  readonly hint?: string | (() => string)
}

interface ById {
  Params: { id: string }
}

/** Fastify plugin. An unknown id throws `not_found`; the app's error handler answers it. */
export async function inboxRoutes(app: FastifyInstance, { inbox, hint = '' }: InboxRoutesOptions) {
  const page = await loadPage(new URL('inbox.html', import.meta.url), [
    ...servedPage,
    "frame-src 'self'",
    "form-action 'none'",
  ])

  const mailOf = (id: string): InboxMail => {
    const mail = inbox.find(id)
    if (!mail) throw new MailerError('not_found')
    return mail
  }

  app.addHook('onRequest', async (_request, reply) => void reply.headers(pageHeaders))

  app.get('/inbox', async (_request, reply) => {
    const command = typeof hint === 'function' ? hint() : hint
    return sendPage(reply, { ...page, html: page.html.replace('<!--hint-->', () => escapeHtml(command)) })
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
    return reply.type('text/html; charset=utf-8').headers(foreignFrame).send(openLinksOutside(html))
  })

  app.get<ById>('/inbox/messages/:id/source', async ({ params }, reply) => {
    const { source } = mailOf(params.id)
    return reply.type('text/plain; charset=utf-8').send(source)
  })
}
