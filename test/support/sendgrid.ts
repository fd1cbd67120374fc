/** Stands in for SendGrid's Web API: holds requests to what the documentation of `POST /v3/mail/send` says. */
import { z } from 'zod'
import {
  type ApiOptions,
  type ApiRequest,
  type ApiScript,
  type ApiServer,
  apiServer,
  jsonOf,
} from './https-api.ts'

export interface SendgridOptions extends ApiOptions {
  readonly apiKey?: string
  readonly maxBytes?: number
}

/** SendGrid sets these itself and refuses a request that does. */
const reserved =
  /^(?:x-sg-id|x-sg-eid|received|dkim-signature|content-type|content-transfer-encoding|to|from|subject|reply-to|cc|bcc)$/i
const mailbox = z.strictObject({ email: z.email(), name: z.string().min(1).optional() })
const off = z.strictObject({ enable: z.boolean() })
const mailSchema = z.strictObject({
  personalizations: z
    .array(z.strictObject({ to: z.array(mailbox).min(1).max(1000) }))
    .min(1)
    .max(1000),
  from: mailbox,
  reply_to: mailbox.optional(),
  subject: z.string().min(1),
  content: z
    .array(z.strictObject({ type: z.string().min(1), value: z.string().min(1) }))
    .min(1)
    .refine(textComesFirst),
  headers: z.record(
    z.string().refine((name) => !reserved.test(name)),
    z.string(),
  ),
  custom_args: z
    .record(z.string(), z.string())
    .refine((value) => JSON.stringify(value).length < 10_000)
    .optional(),
  tracking_settings: z.strictObject({
    click_tracking: z.strictObject({ enable: z.boolean(), enable_text: z.boolean().optional() }),
    open_tracking: off.optional(),
    subscription_tracking: off.optional(),
    ganalytics: off.optional(),
  }),
})
export type SendgridMail = z.infer<typeof mailSchema>

function textComesFirst(content: readonly { type: string }[]): boolean {
  const order = ['text/plain', 'text/html']
  const places = content.map(({ type }) => order.indexOf(type)).filter((place) => place >= 0)
  return places.every((place, index) => index === 0 || place > places[index - 1]!)
}

/** An error as SendGrid writes it. */
export const sendgridError = (
  status: number,
  message = 'a sentence that quotes ada@example.com',
  field: string | null = null,
) => ({ status, body: { errors: [{ message, field, help: null }] } })

export function sendgridServer(
  script: ApiScript = {},
  { apiKey = 'SG.test-key', maxBytes = 30 * 1024 * 1024, ...options }: SendgridOptions = {},
): Promise<ApiServer<SendgridMail>> {
  const authorized = ({ headers }: ApiRequest) => headers.authorization === `Bearer ${apiKey}`
  let count = 0
  return apiServer(
    {
      mailPath: '/v3/mail/send',
      take(request) {
        if (!authorized(request)) return sendgridError(401)
        if (request.headers['content-type'] !== 'application/json') return sendgridError(415)
        if (request.body.length > maxBytes) return sendgridError(413)
        const mail = mailSchema.safeParse(jsonOf(request))
        if (!mail.success) return sendgridError(400)
        return { status: 202, headers: { 'x-message-id': `sg-${++count}` }, body: '', mail: mail.data }
      },
      answer(request) {
        if (request.path !== '/v3/scopes' || request.method !== 'GET') return sendgridError(404)
        return authorized(request) ? { status: 200, body: { scopes: ['mail.send'] } } : sendgridError(401)
      },
    },
    script,
    options,
  )
}
