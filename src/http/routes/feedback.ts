/** Owns `/feedback/<relay>`: what a relay reports is noted at its mails, and answered when it is stored. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { MailerError } from '../../errors.ts'
import type { Report } from '../../feedback.ts'
import type { FeedbackSettings, FeedbackSource, ReportingRelay } from '../../feedback-source.ts'
import { brevoFeedback } from '../../feedback/brevo.ts'
import { mailgunFeedback } from '../../feedback/mailgun.ts'
import { postmarkFeedback } from '../../feedback/postmark.ts'
import { resendFeedback } from '../../feedback/resend.ts'
import { sendgridFeedback } from '../../feedback/sendgrid.ts'
import { sesFeedback } from '../../feedback/ses.ts'
import type { Log } from '../../log.ts'
import type { Meter } from '../../meter.ts'
import type { Outbox } from '../../outbox/api.ts'
import { within } from '../../timers.ts'
import { acceptRawBodies, emptyBody, type RawBody } from '../raw-body.ts'

const makers: Record<ReportingRelay, (settings: FeedbackSettings) => FeedbackSource> = {
  sendgrid: sendgridFeedback,
  ses: sesFeedback,
  postmark: postmarkFeedback,
  mailgun: mailgunFeedback,
  resend: resendFeedback,
  brevo: brevoFeedback,
}

export interface FeedbackRoutesOptions {
  readonly settings: readonly FeedbackSettings[]
  /** Instead of the relay's own source, for tests. */
  readonly sources?: Partial<Record<ReportingRelay, FeedbackSource>> | undefined
  readonly outbox: Pick<Outbox, 'noteFeedback'>
  readonly meter: Pick<Meter, 'reported'>
  readonly log: Log
  readonly now: () => number
  readonly answerMs?: number
}

const taken = { error: 0, msg: 'Ok', code: 'noted' } as const

export async function feedbackRoutes(
  app: FastifyInstance,
  // relays wait 5 s at the least, and repeat what they got no answer for
  { settings, sources = {}, outbox, meter, log, now, answerMs = 4_500 }: FeedbackRoutesOptions,
): Promise<void> {
  acceptRawBodies(app)
  for (const each of settings) {
    const { relay } = each
    const source = sources[relay] ?? makers[relay](each)
    const { maxBytes: bodyLimit } = source
    app.post(
      `/feedback/${relay}`,
      { ...(bodyLimit !== undefined && { bodyLimit }) },
      (request: FastifyRequest<{ Body: RawBody }>, reply) => answerReport(relay, source, request, reply),
    )
  }

  async function answerReport(
    relay: ReportingRelay,
    source: FeedbackSource,
    request: FastifyRequest<{ Body: RawBody }>,
    reply: FastifyReply,
  ): Promise<typeof taken> {
    const items = await openReport(source, request, reply)
    const reports = items.flatMap((item) => source.readReport(item) ?? [])
    const news = await note(relay, reports)
    log.info({ req: request.id, relay, items: items.length, reports: reports.length, news }, 'feedback')
    reply.answerCode = taken.code
    return taken
  }

  async function openReport(
    source: FeedbackSource,
    { headers, body = emptyBody }: FastifyRequest<{ Body: RawBody }>,
    reply: FastifyReply,
  ): Promise<readonly unknown[]> {
    try {
      return await source.open({ headers, body, now: now() })
    } catch (error) {
      if (source.challenge !== undefined) reply.header('www-authenticate', source.challenge)
      throw error
    }
  }

  /** Answers how many reports were news. */
  async function note(relay: ReportingRelay, reports: readonly Report[]): Promise<number> {
    if (reports.length === 0) return 0
    const noted = await within(answerMs, outbox.noteFeedback(reports))
    if (!noted) throw new MailerError('store_unavailable', { reason: 'timeout' })
    const news = noted.filter(({ changed }) => changed)
    for (const { id, app: name, kind, feedback } of news) {
      meter.reported(relay, feedback)
      if (feedback !== 'delivered' && feedback !== 'delayed')
        log.warn({ id, app: name, kind, relay, feedback }, 'the relay reports trouble with a mail')
    }
    return news.length
  }
}
