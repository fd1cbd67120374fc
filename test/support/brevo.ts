/** Stands in for Brevo's API: `POST /v3/smtp/email`, `GET /v3/account` and `GET /v3/senders/domains` as its documentation says. */
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

const mailbox = z.strictObject({ email: z.email(), name: z.string().min(1).max(70).optional() })
const mailSchema = z.strictObject({
  sender: mailbox,
  to: z.array(mailbox).min(1).max(99),
  replyTo: z.strictObject({ email: z.email() }).optional(),
  subject: z.string().min(1),
  textContent: z.string().min(1),
  htmlContent: z.string().min(1),
  headers: z.record(z.string(), z.string()),
  tags: z.array(z.string()),
})
export type BrevoMail = z.infer<typeof mailSchema>

export const brevoError = (
  status: number,
  code: string,
  message = 'a sentence that quotes ada@example.com',
): Reply => ({
  status,
  body: { code, message },
})

export interface BrevoOptions extends ApiOptions {
  readonly apiKey?: string
  readonly domains?: readonly { domain_name: string; authenticated: boolean; verified: boolean }[]
}

export function brevoServer(
  script: ApiScript = {},
  {
    apiKey = 'xkeysib-test',
    domains = [{ domain_name: 'mail.example.com', authenticated: true, verified: true }],
    ...options
  }: BrevoOptions = {},
): Promise<ApiServer<BrevoMail>> {
  const isOurs = ({ headers }: ApiRequest) => headers['api-key'] === apiKey
  let count = 0
  return apiServer(
    {
      mailPath: '/v3/smtp/email',
      take(request) {
        if (!isOurs(request)) return brevoError(401, 'unauthorized', 'Key not found')
        const mail = mailSchema.safeParse(jsonOf(request))
        if (!mail.success) return brevoError(400, 'invalid_parameter')
        return { status: 201, body: { messageId: `<brevo-${++count}@example.com>` }, mail: mail.data }
      },
      answer(request) {
        if (!isOurs(request)) return brevoError(401, 'unauthorized', 'Key not found')
        if (request.path === '/v3/account')
          return { status: 200, body: { email: 'owner@example.com', plan: [] } }
        return request.path === '/v3/senders/domains'
          ? { status: 200, body: { domains, count: domains.length } }
          : brevoError(404, 'not_found')
      },
    },
    script,
    options,
  )
}
