/** Stands in for Mailgun's API: `POST /v3/{domain}/messages.mime` and `GET /v4/domains/{domain}` as its documentation says. */
import {
  type ApiOptions,
  type ApiRequest,
  type ApiScript,
  type ApiServer,
  apiServer,
  type Reply,
} from './https-api.ts'

export interface MailgunMail {
  readonly fields: Readonly<Record<string, string>>
  /** The MIME of the file part. */
  readonly source: string
}

export interface MailgunOptions extends ApiOptions {
  readonly apiKey?: string
  readonly domain?: string
  readonly state?: string
  /** A sending key: it may ask for nothing else. */
  readonly maySendOnly?: boolean
}

export const mailgunError = (status: number, message = 'a sentence that quotes ada@example.com'): Reply => ({
  status,
  body: { message },
})

export function mailgunServer(
  script: ApiScript = {},
  {
    apiKey = 'key-test',
    domain = 'mg.example.com',
    state = 'active',
    maySendOnly,
    ...options
  }: MailgunOptions = {},
): Promise<ApiServer<MailgunMail>> {
  const login = `Basic ${Buffer.from(`api:${apiKey}`).toString('base64')}`
  const mailPath = `/v3/${domain}/messages.mime`
  function take(request: ApiRequest): Reply & { mail?: MailgunMail } {
    if (request.headers.authorization !== login) return { status: 401, body: 'Forbidden' }
    const { message: source, ...fields } = partsOf(request)
    if (fields['to'] === undefined) return mailgunError(400, 'to parameter is missing')
    if (!/^[^\s<>,@]+@[^\s<>,@]+$/.test(fields['to']))
      return mailgunError(400, 'to parameter is not a valid address. please check documentation')
    if (source === undefined) return mailgunError(400, 'message parameter is missing')
    return { status: 200, body: { id: '<mg-1>', message: 'Queued. Thank you.' }, mail: { fields, source } }
  }
  return apiServer(
    {
      mailPath,
      take,
      answer(request) {
        if (request.path === mailPath && request.method === 'POST') return take(request)
        if (request.path.endsWith('/messages.mime')) return mailgunError(404, 'Domain not found')
        if (request.headers.authorization !== login || maySendOnly) return { status: 401, body: 'Forbidden' }
        return request.path === `/v4/domains/${domain}`
          ? { status: 200, body: { domain: { name: domain, state, type: 'custom' } } }
          : mailgunError(404, 'Domain not found')
      },
    },
    script,
    options,
  )
}

/** The parts of multipart/form-data (RFC 7578) by name. */
function partsOf({ headers, body }: ApiRequest): Record<string, string> {
  const [, boundary] =
    /^multipart\/form-data; boundary=([\w-]{1,70})$/.exec(headers['content-type'] ?? '') ?? []
  if (boundary === undefined) return {}
  const pieces = `\r\n${body}`.split(`\r\n--${boundary}`)
  if (pieces.at(-1)?.trim() !== '--') return {}
  return Object.fromEntries(
    pieces.slice(1, -1).flatMap((piece) => {
      const end = piece.indexOf('\r\n\r\n')
      const [, name] = /name="([^"]+)"/.exec(piece.slice(0, end)) ?? []
      return name === undefined ? [] : [[name, piece.slice(end + 4)]]
    }),
  )
}
