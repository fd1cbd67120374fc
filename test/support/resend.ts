/** Stands in for Resend's API: `POST /emails` with its idempotency keys, and `GET /domains`, as its documentation says. */
import { z } from 'zod'
import {
  type ApiOptions,
  type ApiRequest,
  type ApiScript,
  type ApiServer,
  apiServer,
  jsonOf,
  type Reply,
} from './https-api.ts'

const mailbox = z.string().regex(/^(?:"[^"\\]+" <[^<>@\s]+@[^<>@\s]+>|[^<>@\s,]+@[^<>@\s,]+)$/)
const tag = z.string().regex(/^[\w-]{1,256}$/)
const mailSchema = z.strictObject({
  from: mailbox,
  to: z.array(mailbox).min(1).max(50),
  reply_to: z.email().optional(),
  subject: z.string(),
  text: z.string(),
  html: z.string(),
  headers: z.record(z.string(), z.string()),
  tags: z.array(z.strictObject({ name: tag, value: tag })),
})
export type ResendMail = z.infer<typeof mailSchema>

export const resendError = (
  status: number,
  name: string,
  message = 'a sentence that quotes ada@example.com',
): Reply => ({
  status,
  body: { statusCode: status, name, message },
})

export interface ResendOptions extends ApiOptions {
  readonly apiKey?: string
  readonly domains?: readonly {
    name: string
    status: string
    click_tracking?: boolean
    open_tracking?: boolean
  }[]
  readonly maySendOnly?: boolean
}

export function resendServer(
  script: ApiScript = {},
  {
    apiKey = 're_test',
    domains = [{ name: 'mail.example.com', status: 'verified' }],
    maySendOnly,
    ...options
  }: ResendOptions = {},
): Promise<ApiServer<ResendMail>> {
  /** What was sent under a key, and its answer. */
  const sent = new Map<string, { body: string; reply: Reply }>()
  function loginTrouble({ headers }: ApiRequest): Reply | undefined {
    if (headers.authorization === undefined) return resendError(401, 'missing_api_key')
    return headers.authorization === `Bearer ${apiKey}` ? undefined : resendError(403, 'invalid_api_key')
  }
  function send(request: ApiRequest): Reply & { mail?: ResendMail } {
    const mail = mailSchema.safeParse(jsonOf(request))
    if (!mail.success) return resendError(422, 'validation_error')
    const isOurs = domains.some(
      ({ name, status }) => status === 'verified' && mail.data.from.includes(`@${name}`),
    )
    if (!isOurs)
      return resendError(
        403,
        'validation_error',
        'The domain is not verified. Please, add and verify your domain',
      )
    return { status: 200, body: { id: `re-${sent.size + 1}` }, mail: mail.data }
  }
  return apiServer(
    {
      mailPath: '/emails',
      take(request) {
        const trouble = loginTrouble(request)
        if (trouble) return trouble
        if (request.headers['user-agent'] === undefined) return { status: 403, body: 'Forbidden' }
        const key = request.headers['idempotency-key']
        if (typeof key !== 'string' || key.length > 256) return resendError(400, 'invalid_idempotency_key')
        const earlier = sent.get(key)
        if (earlier)
          return earlier.body === request.body
            ? earlier.reply
            : resendError(409, 'invalid_idempotent_request')
        const { mail, ...reply } = send(request)
        if (mail === undefined) return reply
        sent.set(key, { body: request.body, reply })
        return { ...reply, mail }
      },
      answer(request) {
        const trouble = loginTrouble(request)
        if (trouble) return trouble
        if (maySendOnly)
          return resendError(401, 'restricted_api_key', 'This API key is restricted to only send emails')
        return request.path === '/domains'
          ? { status: 200, body: { data: domains } }
          : resendError(404, 'not_found')
      },
    },
    script,
    options,
  )
}
