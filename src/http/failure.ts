/** Owns how a failure ends a request: its answer on the wire, its code for the metrics and its one line in the log. */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { failureAnswer } from '../contract.ts'
import { MailerError } from '../errors.ts'
import { describeError, type LineFields, type Log } from '../log.ts'
import type { RequestReason } from '../message.ts'

/** `fields`: what else is known about the request, for its line. */
export function answerFailure(
  log: Log,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  fields: LineFields = {},
): FastifyReply {
  const failure = asFailure(error)
  const { status: usual, answer } = failureAnswer(failure)
  const { code } = answer
  const status = code === 'too_large' && request.method === 'GET' ? 414 : usual
  logFailure(log, failure, { req: request.id, route: request.routeOptions.url, status, code, ...fields })
  reply.answerCode = code
  reply.answerReason = failure instanceof MailerError ? (failure.reason ?? '') : ''
  if (failure instanceof MailerError && failure.retryAfterS !== undefined)
    reply.header('retry-after', failure.retryAfterS)
  return reply
    .code(status)
    .header('cache-control', 'no-store')
    .header('x-content-type-options', 'nosniff')
    .type('application/json; charset=utf-8')
    .send(JSON.stringify(answer))
}

/** One line for whatever went wrong: our own failures with their reason, anything else as the bug it is. */
export function logFailure(log: Log, error: unknown, fields: Record<string, unknown>): void {
  if (!(error instanceof MailerError)) return log.error({ ...fields, bug: describeError(error) }, 'bug')
  const { claim, reason } = error
  const line = { ...fields, ...(claim && { claim }), ...(reason && { reason }) }
  if (failureAnswer(error).answer.error === 2) log.warn(line, 'mail not sent')
  else log.info(line, 'request refused')
}

/** Fastify's own errors by their code; everything else that is not ours stays a bug. */
function asFailure(error: unknown): unknown {
  if (error instanceof MailerError) return error
  if (!(error instanceof Error)) return error
  const { code = '', statusCode = 500 }: Partial<FastifyError> = error
  const tooLarge = code === 'FST_ERR_MAX_PARAM_LENGTH' || code === 'FST_ERR_CTP_BODY_TOO_LARGE'
  if (tooLarge) return new MailerError('too_large', { reason: 'size' })
  return statusCode < 500 ? new MailerError('bad_request', { reason: reasonOf(code) }) : error
}

function reasonOf(code: string): RequestReason {
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return 'content_type'
  return code.startsWith('FST_ERR_CTP_') ? 'body' : 'http'
}
