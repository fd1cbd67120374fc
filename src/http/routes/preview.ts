/**
 * Owns `/preview`: every mail of the catalogue as its samples make it, and as other values would. The values take the
 * way of a real token's claims; what they make is foreign to the page, which shows it in a sandbox without scripts,
 * forms or network, under the mail's own policy.
 *
 *   GET  /preview                                the page; without the admin token, where one is set, the way in
 *   GET  /preview/mails                          the gallery, and what is wrong with the files on disk
 *   GET  /preview/mails/:app/:kind/:locale       one mail from its samples; POST {claims}: from these
 *   GET  /preview/mails/:app/:kind/:locale/html  its HTML part; POST claims=… (text/plain): from these
 *   POST /preview/mails/:app/:kind/:locale/send  {claims} sends it to the inbox
 */
import { randomBytes } from 'node:crypto'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { z } from 'zod'
import { MailerError } from '../../errors.ts'
import type { Catalogue, MailTemplate } from '../../mails/catalogue.ts'
import type { BuildMime } from '../../mime/mime.ts'
import { tryRender, detailOf, galleryOf, type GalleryEntry } from '../../mails/preview.ts'
import { formatProblem, type Problem } from '../../mails/problem.ts'
import { sampleClaims } from '../../mails/sample.ts'
import { joinBody, type Message, type Receipt } from '../../message.ts'
import { guardArea, protectPage } from '../admin-area.ts'
import { acceptJson, acceptText, readAs } from '../bodies.ts'
import { loadPage } from '../../html-page.ts'
import { foreignFrame, openLinksOutside, sendPage, servedPage, type Sites, withNavigation } from '../page.ts'

export interface PreviewRoutesOptions {
  /** Asked anew for each request, so a catalogue that follows its files is shown as it is. */
  readonly catalogue: Catalogue & { readonly problems?: readonly Problem[] }
  readonly buildMime: BuildMime
  /** Only where mails end in the inbox: previews never reach a real relay. */
  readonly sendToInbox?: ((message: Message) => Promise<Receipt>) | undefined
  /** When given, the pages need it. */
  readonly adminToken?: string | undefined
  /** The other pages of this service. */
  readonly sites?: Sites
  readonly now?: () => number
}

interface OneMail {
  Params: { app: string; kind: string; locale: string }
}

const maxBody = 64 * 1024
const oneMail = '/preview/mails/:app/:kind/:locale'

const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()])
const list = z.array(z.union([scalar, z.record(z.string().max(64), scalar)]))
const claimsSchema = z.record(z.string().max(64), z.union([scalar, list]))
const bodySchema = z.strictObject({ claims: claimsSchema })

/** Fastify plugin. What it throws are `MailerError`s for the app's error handler. */
export async function previewRoutes(app: FastifyInstance, options: PreviewRoutesOptions) {
  const { catalogue, buildMime, sendToInbox, adminToken, sites = {}, now = Date.now } = options
  const file = await loadPage(new URL('preview.html', import.meta.url), [
    ...servedPage,
    "frame-src 'self'",
    "form-action 'self'",
  ])
  const page = withNavigation(file, 'preview', sites)
  const galleryFor = galleryCache(now)
  const oneBody = { bodyLimit: maxBody }
  acceptJson(app)
  acceptText(app)

  protectPage(app)
  if (adminToken !== undefined)
    await guardArea(app, { area: '/preview', title: 'Preview of the mails', adminToken, now })

  app.get('/preview', async (_request, reply) => sendPage(reply, page))

  app.get('/preview/mails', async () => ({
    ...galleryFor(catalogue),
    problems: (catalogue.problems ?? []).map(formatProblem),
    inbox: sendToInbox !== undefined,
    guarded: adminToken !== undefined,
  }))

  app.get<OneMail>(oneMail, async ({ params }, reply) => {
    const mail = mailOf(params)
    return answerPreview(mail, sampleClaims(mail, now()), reply)
  })

  app.post<OneMail>(oneMail, oneBody, async ({ params, body }, reply) =>
    answerPreview(mailOf(params), readAs(bodySchema, body).claims, reply),
  )

  app.get<OneMail>(`${oneMail}/html`, async ({ params }, reply) => {
    const mail = mailOf(params)
    return answerHtml(mail, sampleClaims(mail, now()), reply)
  })

  app.post<OneMail>(`${oneMail}/html`, oneBody, async ({ params, body }, reply) =>
    answerHtml(mailOf(params), readForm(body), reply),
  )

  if (sendToInbox) {
    app.post<OneMail>(`${oneMail}/send`, oneBody, async ({ params, body }, reply) => {
      const mail = mailOf(params)
      const { claims } = readAs(bodySchema, body)
      const { message, fault } = tryRender(mail, claims, identity(`preview-${randomId()}`))
      if (fault) return reply.code(fault.status).send({ fault })
      const { outcome, reason } = await sendToInbox(message)
      if (outcome !== 'sent') throw new MailerError('relay_unavailable', { reason })
      return { error: 0, msg: 'Ok', code: 'sent', id: message.id }
    })
  }

  function mailOf({ app: name, kind, locale }: OneMail['Params']): MailTemplate {
    const mail = catalogue.mails.find(
      (each) => each.app === name && each.kind === kind && each.locale === locale,
    )
    if (!mail) throw new MailerError('mail_unknown')
    return mail
  }

  function identity(id = 'preview') {
    return { id, date: new Date(now()) }
  }

  async function answerPreview(mail: MailTemplate, claims: object, reply: FastifyReply) {
    const detail = await detailOf(mail, claims, { buildMime, ...identity() })
    return reply.code(detail.fault?.status ?? 200).send(detail)
  }

  async function answerHtml(mail: MailTemplate, claims: object, reply: FastifyReply) {
    const { message, fault } = tryRender(mail, claims, identity())
    reply.headers(foreignFrame)
    if (message) return reply.type('text/html; charset=utf-8').send(openLinksOutside(joinBody(message.html)))
    return reply.code(fault.status).type('text/plain; charset=utf-8').send(`${fault.msg}\n${fault.hint}`)
  }
}

/** The list is rendered once for each state of the catalogue, because the page polls it every two seconds. */
function galleryCache(now: () => number) {
  const started = randomId()
  let count = 0
  let renderedFrom: readonly MailTemplate[] | undefined
  let mails: readonly GalleryEntry[] = []
  return (catalogue: Catalogue) => {
    if (catalogue.mails !== renderedFrom) {
      renderedFrom = catalogue.mails
      mails = galleryOf(catalogue, now())
      count++
    }
    return { revision: `${started}-${count}`, mails }
  }
}

/** `claims={…}` as a form of type text/plain writes it: the one way to post into a frame. */
function readForm(body: unknown) {
  const json = typeof body === 'string' && body.startsWith('claims=') ? body.slice('claims='.length) : ''
  try {
    return readAs(claimsSchema, JSON.parse(json))
  } catch (error) {
    throw error instanceof MailerError ? error : new MailerError('bad_request', { reason: 'body' })
  }
}

function randomId(): string {
  return randomBytes(8).toString('hex')
}
