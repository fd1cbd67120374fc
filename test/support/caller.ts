/** Owns how tests ask a running service, in this process or in another: for a mail, and for what became of it. */
import type { FastifyInstance } from 'fastify'
import { sampleClaims, signToken } from './tokens.ts'

export type AnyService = FastifyInstance | { readonly url: string }

export interface MailAnswer {
  readonly status: number
  readonly code: string
  readonly id: string
  /** `NaN` without the header. */
  readonly retryAfter: number
}

/** Posts a token. Rejects when the service ends before it answers. */
export async function askMail(
  service: AnyService,
  token = signToken(),
  path = '/emailservice',
): Promise<MailAnswer> {
  const { status, retryAfter, body } = await ask(service, path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token }),
  })
  const { code, id } = body as { code: string; id: string }
  return { status, code, id, retryAfter }
}

/** The same, with how long the answer took. */
export async function askTimed(
  service: AnyService,
  token?: string,
): Promise<MailAnswer & { readonly ms: number }> {
  const started = performance.now()
  return { ...(await askMail(service, token)), ms: performance.now() - started }
}

/** What `/deliveries` says of a mail. */
export async function askDelivery(
  service: AnyService,
  id: string,
  token = signToken(sampleClaims()),
): Promise<Readonly<Record<string, unknown>>> {
  const { body } = await ask(service, `/deliveries/${id}`, { headers: { authorization: `Bearer ${token}` } })
  return body as Record<string, unknown>
}

interface Request {
  readonly method?: 'POST'
  readonly headers: Record<string, string>
  readonly body?: string
}

async function ask(service: AnyService, path: string, { body, ...request }: Request) {
  if ('inject' in service) {
    const answer = await service.inject({
      ...request,
      url: path,
      ...(body !== undefined && { payload: body }),
    })
    const retryAfter = Number(answer.headers['retry-after'])
    return { status: answer.statusCode, retryAfter, body: answer.json<unknown>() }
  }
  const answer = await fetch(service.url + path, { ...request, ...(body !== undefined && { body }) })
  const retryAfter = Number(answer.headers.get('retry-after') ?? NaN)
  const answered: unknown = await answer.json()
  return { status: answer.status, retryAfter, body: answered }
}
