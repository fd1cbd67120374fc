/**
 * Owns `/admin`: what an operator sees of the service, and may change where that is allowed. Nothing in its answers is an
 * address, a link, a key or a token.
 *
 *   GET  /admin             the page, or the login
 *   GET  /admin/overview    numbers, relays, refusals
 *   POST /admin/mails       mails that wait or are dead: {state, app?, kind?, reason?, id?, address?, after?, limit?}
 *   GET  /admin/suppressed  the newest suppressed addresses, by their hidden names
 *   POST /admin/requeue     {id} or {all: true, diedBy?}: some thousands at a time, and next is the diedBy for the others
 *   POST /admin/give-up     {id}
 *   POST /admin/lift        {name, app}
 *
 * What may hold an address is the body of a POST, because addresses of requests stand in the logs of others.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { checkAddress } from '../../address.ts'
import { adviceOnMail } from '../../advice.ts'
import { appPattern } from '../../contract.ts'
import { MailerError } from '../../errors.ts'
import { loadPage } from '../../html-page.ts'
import type { Log } from '../../log.ts'
import type { Outbox, StoredMail } from '../../outbox/api.ts'
import type { Suppression } from '../../outbox/suppression.ts'
import { guardArea, protectPage } from '../admin-area.ts'
import { acceptJson, readAs } from '../bodies.ts'
import type { ReadOverview } from '../overview.ts'
import { sendPage, servedPage, type Sites, withNavigation } from '../page.ts'

export interface AdminRoutesOptions {
  readonly adminToken: string
  /** May anything be changed here? */
  readonly write: boolean
  readonly readOverview: ReadOverview
  readonly outbox: Pick<
    Outbox,
    'search' | 'requeue' | 'requeueSome' | 'giveUp' | 'listSuppressed' | 'findSuppressed' | 'liftSuppression'
  >
  readonly log: Log
  readonly sites?: Sites
  readonly now?: () => number
}

const smallBody = { bodyLimit: 16 * 1024 }
const maxSuppressed = 200
/** Of a word in a row that another hand may have written. */
const maxShown = 200

const word = z.string().min(1).max(200).optional()
const mailsSchema = z.strictObject({
  state: z.enum(['waiting', 'dead']),
  app: word,
  kind: word,
  reason: word,
  id: word,
  address: z.string().min(1).max(1_000).optional(),
  after: z.string().min(1).max(10_000).optional(),
  limit: z.int().min(1).max(200).default(50),
})
const idSchema = z.strictObject({ id: z.string().min(1).max(1_000) })
const requeueSchema = z.union([
  idSchema,
  z.strictObject({ all: z.literal(true), diedBy: z.int().min(0).optional() }),
])
const liftSchema = z.strictObject({
  name: z.string().regex(/^[\w-]{1,64}$/),
  app: z.union([z.literal('*'), z.string().regex(appPattern)]),
})

/** Fastify plugin. What it throws are `MailerError`s for the app's error handler. */
export async function adminRoutes(app: FastifyInstance, options: AdminRoutesOptions): Promise<void> {
  const { adminToken, write, readOverview, outbox, log, sites = {}, now = Date.now } = options
  const file = await loadPage(new URL('admin.html', import.meta.url), [...servedPage, "form-action 'none'"])
  const page = withNavigation(file, 'admin', sites)
  acceptJson(app)
  protectPage(app)
  await guardArea(app, { area: '/admin', title: 'Operator', adminToken, now })

  app.get('/admin', async (_request, reply) => sendPage(reply, page))

  app.get('/admin/overview', async () => ({ write, ...(await readOverview()) }))

  app.post('/admin/mails', smallBody, async ({ body }) => {
    const { reason, address: given, ...query } = readAs(mailsSchema, body)
    const address = given === undefined ? undefined : readAddress(given)
    const { mails, next } = await outbox.search({ ...query, detail: reason, address })
    const suppressed = address === undefined ? {} : { suppressed: await suppressionsOf(address) }
    return { mails: mails.map(shownMail), next, ...suppressed }
  })

  app.get('/admin/suppressed', async () => ({
    entries: (await outbox.listSuppressed(maxSuppressed)).map(shownSuppression),
  }))

  app.post('/admin/requeue', smallBody, async (request) => {
    refuseUnlessWrite()
    const wanted = readAs(requeueSchema, request.body)
    if ('id' in wanted) {
      const count = (await outbox.requeue(wanted.id)) ? 1 : 0
      return changed(request, 'requeue', count, { id: wanted.id })
    }
    const { count, next } = await outbox.requeueSome({ diedBy: wanted.diedBy })
    return { ...changed(request, 'requeue_all', count), next }
  })

  app.post('/admin/give-up', smallBody, async (request) => {
    refuseUnlessWrite()
    const { id } = readAs(idSchema, request.body)
    return changed(request, 'give_up', (await outbox.giveUp(id)) ? 1 : 0, { id })
  })

  app.post('/admin/lift', smallBody, async (request) => {
    refuseUnlessWrite()
    const { name, app: ofApp } = readAs(liftSchema, request.body)
    const lifted = await outbox.liftSuppression(name, ofApp)
    return changed(request, 'lift', lifted.length, { app: ofApp })
  })

  function refuseUnlessWrite(): void {
    if (!write) throw new MailerError('read_only', { hint: 'Set ADMIN_WRITE=on to allow changes here.' })
  }

  async function suppressionsOf(address: string) {
    return (await outbox.findSuppressed(address)).map(shownSuppression)
  }

  /** Every change is one line of the log. An id that is none of ours could be anything, so it is left out. */
  function changed(
    { id: req }: FastifyRequest,
    verb: string,
    count: number,
    { id, app: ofApp }: { id?: string; app?: string } = {},
  ) {
    const about = { ...(id !== undefined && count > 0 && { id }), ...(ofApp !== undefined && { app: ofApp }) }
    log.info({ req, verb, count, ...about }, 'changed by an operator')
    return { count }
  }
}

/** As the store knows it. */
function readAddress(given: string): string {
  try {
    return checkAddress(given.trim())
  } catch {
    throw new MailerError('bad_request', { reason: 'body' })
  }
}

const short = (text: string) => text.slice(0, maxShown)
const shortOr = (text: string | null) => (text === null ? null : short(text))

function shownMail({ id, app, kind, state, detail, relay, ...mail }: StoredMail) {
  const { attempts, due, expires, created, done, feedback } = mail
  return {
    id,
    app: short(app),
    kind: short(kind),
    state,
    reason: shortOr(detail),
    sentence: detail === null ? null : adviceOnMail(detail),
    attempts,
    due,
    expires,
    created,
    done,
    relay: shortOr(relay),
    feedback,
  }
}

function shownSuppression({ recipient, app, reason, since, until, times }: Suppression) {
  return { name: short(recipient), app: short(app), reason, since, until, times }
}
