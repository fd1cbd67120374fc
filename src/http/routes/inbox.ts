/**
 * Owns `/inbox`: the page on which a developer sees the mails that the inbox caught, and the JSON behind it.
 * Everything a mail says is foreign: the page runs under a policy that allows its own script and style by hash and
 * nothing else, and the HTML part is shown in a sandbox of its own origin without scripts, forms or network.
 */
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { MailerError } from '../../errors.ts'
import type { Inbox, InboxMail } from '../../dev/inbox-server.ts'
import { type MailRow, readMail, summarizeMail } from './inbox-mail.ts'
import { escapeHtml } from '../../escape-html.ts'
import { loadPage } from '../../html-page.ts'
import {
  foreignFrame,
  openLinksOutside,
  pageHeaders,
  sendPage,
  servedPage,
  type Sites,
  withNavigation,
} from '../page.ts'

export interface InboxRoutesOptions {
  readonly inbox: Inbox
  /** The command that sends a first mail, shown while the inbox is empty. A function is called for each page. */
  readonly hint?: string | (() => string)
  /** The other pages of this service. */
  readonly sites?: Sites
}

interface ById {
  Params: { id: string }
}

/** Details of so many mails in one answer; the list itself has no such bound, because it is short. */
const maxDetails = 20
const querySchema = z.strictObject({
  to: z.string().min(1).max(320).toLowerCase().optional(),
  wait: z
    .string()
    .regex(/^\d{1,2}s?$/)
    .transform((text) => Number.parseInt(text, 10) * 1_000)
    .default(0),
})

/** Fastify plugin. An unknown id throws `not_found`; the app's error handler answers it. */
export async function inboxRoutes(
  app: FastifyInstance,
  { inbox, hint = '', sites = {} }: InboxRoutesOptions,
) {
  const file = await loadPage(new URL('inbox.html', import.meta.url), [
    ...servedPage,
    "frame-src 'self'",
    "form-action 'none'",
  ])
  const page = withNavigation(file, 'inbox', sites)

  const mailOf = (id: string): InboxMail => {
    const mail = inbox.find(id)
    if (!mail) throw new MailerError('not_found')
    return mail
  }

  const rowOf = async (mail: InboxMail): Promise<MailRow> => ({
    ...(await summarizeMail(mail)),
    repeats: inbox.repeatsOf(mail.id),
  })
  const awaitMail = mailAwaiter(inbox)

  app.addHook('onRequest', async (_request, reply) => void reply.headers(pageHeaders))
  // a request that waits for a mail does not hold up the end of the service
  app.addHook('preClose', async () => awaitMail.giveUp())

  app.get('/', async (_request, reply) => reply.redirect('inbox'))

  app.get('/inbox', async (_request, reply) => {
    const command = typeof hint === 'function' ? hint() : hint
    return sendPage(reply, { ...page, html: page.html.replace('<!--hint-->', () => escapeHtml(command)) })
  })

  app.get('/inbox/messages', async ({ query }, reply) => {
    const parsed = querySchema.safeParse(query)
    if (!parsed.success) throw new MailerError('bad_request')
    const { to, wait } = parsed.data
    const wanted = () => inbox.list().filter((mail) => to === undefined || isFor(mail, to))
    if (wanted().length === 0 && wait > 0) await awaitMail.until(() => wanted().length > 0, wait, reply.raw)
    if (to === undefined) return Promise.all(wanted().map(rowOf))
    return Promise.all(wanted().slice(0, maxDetails).map(readMail))
  })

  app.delete('/inbox/messages', async (_request, reply) => {
    inbox.clear()
    return reply.code(204).send()
  })

  app.delete<ById>('/inbox/messages/:id', async ({ params }, reply) => {
    inbox.remove(mailOf(params.id).id)
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

/** By the envelope: what the headers claim does not decide who gets a mail. */
function isFor({ envelope }: InboxMail, address: string): boolean {
  return envelope.to.some((recipient) => recipient.toLowerCase() === address)
}

/** Requests that wait until a mail is there, or until their time is over, or until nobody waits for their answer. */
function mailAwaiter(inbox: Inbox) {
  const waiting = new Set<() => void>()
  return {
    giveUp: () => waiting.forEach((end) => end()),
    until: (isThere: () => boolean, ms: number, caller: NodeJS.EventEmitter) =>
      new Promise<void>((resolve) => {
        const end = () => {
          waiting.delete(end)
          clearTimeout(timer)
          stopListening()
          caller.off('close', end)
          resolve()
        }
        const timer = setTimeout(end, ms)
        const stopListening = inbox.onMail(() => void (isThere() && end()))
        caller.once('close', end)
        waiting.add(end)
      }),
  }
}
