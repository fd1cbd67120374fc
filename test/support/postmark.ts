/** Stands in for Postmark's API: `POST /email`, `GET /server` and `GET /message-streams/{id}` as its documentation says. */
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
const mailSchema = z.strictObject({
  From: mailbox,
  To: mailbox,
  ReplyTo: z.email().optional(),
  Subject: z.string().max(2_000),
  TextBody: z.string().min(1),
  HtmlBody: z.string().min(1),
  MessageStream: z.string(),
  Metadata: z.record(z.string().max(20), z.string().max(80)),
  Headers: z.array(z.strictObject({ Name: z.string(), Value: z.string() })),
  TrackOpens: z.boolean(),
  TrackLinks: z.enum(['None', 'HtmlAndText', 'HtmlOnly', 'TextOnly']),
})
export type PostmarkMail = z.infer<typeof mailSchema>

export const postmarkError = (
  status: number,
  code: number,
  Message = 'a sentence that quotes ada@example.com',
): Reply => ({
  status,
  body: { ErrorCode: code, Message },
})

export interface PostmarkOptions extends ApiOptions {
  readonly serverToken?: string
  readonly senders?: readonly string[]
  readonly inactive?: readonly string[]
  readonly server?: Record<string, unknown>
}

export function postmarkServer(
  script: ApiScript = {},
  {
    serverToken = 'server-token',
    senders = ['mail.example.com'],
    inactive = [],
    server,
    ...options
  }: PostmarkOptions = {},
): Promise<ApiServer<PostmarkMail>> {
  const authorized = ({ headers }: ApiRequest) => headers['x-postmark-server-token'] === serverToken
  return apiServer(
    {
      mailPath: '/email',
      take(request) {
        if (!authorized(request)) return postmarkError(401, 10)
        const mail = mailSchema.safeParse(jsonOf(request))
        if (!mail.success) return postmarkError(422, 300)
        const { From, To, MessageStream } = mail.data
        if (!senders.some((domain) => From.replace('>', '').endsWith(`@${domain}`)))
          return postmarkError(422, 400)
        if (inactive.some((address) => To.includes(address))) return postmarkError(422, 406)
        if (MessageStream !== 'outbound') return postmarkError(422, 1235)
        return { status: 200, body: { To, MessageID: 'pm-1', ErrorCode: 0, Message: 'OK' }, mail: mail.data }
      },
      answer(request) {
        if (!authorized(request)) return postmarkError(401, 10)
        if (request.path === '/server')
          return { status: 200, body: { ID: 1, Name: 'Example', DeliveryType: 'Live', ...server } }
        return request.path === '/message-streams/outbound'
          ? { status: 200, body: { ID: 'outbound', MessageStreamType: 'Transactional' } }
          : postmarkError(422, 1226)
      },
    },
    script,
    options,
  )
}
