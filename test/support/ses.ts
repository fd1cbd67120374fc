/** Stands in for Amazon SES, API v2: signatures are computed anew, errors are named as the API reference names them. */
import { createHash, createHmac } from 'node:crypto'
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

export const sesCredentials = {
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
  sessionToken: undefined,
}
export const sesRegion = 'eu-central-1'

const mailSchema = z.strictObject({
  FromEmailAddress: z.email(),
  Destination: z.strictObject({ ToAddresses: z.array(z.email()).min(1).max(50) }),
  Content: z.strictObject({ Raw: z.strictObject({ Data: z.base64() }) }),
  EmailTags: z.array(
    z.strictObject({ Name: z.string().regex(/^[\w-]{1,256}$/), Value: z.string().regex(/^[\w-]{1,256}$/) }),
  ),
  ConfigurationSetName: z.string().optional(),
})
export type SesMail = Omit<z.infer<typeof mailSchema>, 'Content'> & { readonly source: string }

export interface SesOptions extends ApiOptions {
  readonly secretAccessKey?: string
  readonly verified?: readonly string[]
  readonly account?: Record<string, unknown>
  /** A user that may send and nothing else. */
  readonly maySendOnly?: boolean
}

export const sesError = (
  status: number,
  name: string,
  message = 'a sentence that quotes ada@example.com',
): Reply => ({
  status,
  headers: { 'x-amzn-errortype': `${name}:http://internal.amazon.com/coral/com.amazonaws.ses/` },
  body: { message },
})

export function sesServer(
  script: ApiScript = {},
  {
    secretAccessKey = sesCredentials.secretAccessKey,
    verified = ['mail.example.com'],
    account,
    maySendOnly,
    ...options
  }: SesOptions = {},
): Promise<ApiServer<SesMail>> {
  const wrong = (request: ApiRequest) => signatureTrouble(request, secretAccessKey)
  let count = 0
  return apiServer(
    {
      mailPath: '/v2/email/outbound-emails',
      take(request) {
        const trouble = wrong(request)
        if (trouble) return trouble
        const mail = mailSchema.safeParse(jsonOf(request))
        if (!mail.success) return sesError(400, 'BadRequestException')
        const { Content, ...rest } = mail.data
        if (!verified.some((domain) => rest.FromEmailAddress.endsWith(`@${domain}`)))
          return sesError(
            400,
            'MessageRejected',
            `Email address is not verified. The following identities failed the check in region EU-CENTRAL-1: ${rest.FromEmailAddress}`,
          )
        const source = Buffer.from(Content.Raw.Data, 'base64').toString()
        return { status: 200, body: { MessageId: `ses-${++count}` }, mail: { ...rest, source } }
      },
      answer(request) {
        const trouble = wrong(request)
        if (trouble) return trouble
        if (maySendOnly) return sesError(403, 'AccessDeniedException')
        if (request.path === '/v2/email/account')
          return {
            status: 200,
            body: {
              ProductionAccessEnabled: true,
              SendingEnabled: true,
              SendQuota: { Max24HourSend: 50_000, MaxSendRate: 14, SentLast24Hours: 20 },
              ...account,
            },
          }
        const [, identity = ''] = /^\/v2\/email\/identities\/(.+)$/.exec(request.path) ?? []
        return verified.includes(identity)
          ? { status: 200, body: { IdentityType: 'DOMAIN', VerifiedForSendingStatus: true } }
          : sesError(404, 'NotFoundException')
      },
    },
    script,
    options,
  )
}

/** Written from the description of Signature Version 4, and not with the code under test. */
function signatureTrouble({ method, path, headers, body }: ApiRequest, secret: string): Reply | undefined {
  const given =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([\w-]+)\/ses\/aws4_request, SignedHeaders=([\w;-]+), Signature=([0-9a-f]{64})$/.exec(
      headers.authorization ?? '',
    )
  if (!given) return sesError(403, 'MissingAuthenticationTokenException')
  const [, keyId, day = '', region = '', names = '', signature] = given
  const time = String(headers['x-amz-date'])
  if (keyId !== sesCredentials.accessKeyId) return sesError(403, 'UnrecognizedClientException')
  if (region !== sesRegion || !names.split(';').includes('host') || !time.startsWith(day))
    return sesError(403, 'InvalidSignatureException')
  const hash = (text: string) => createHash('sha256').update(text, 'latin1').digest('hex')
  const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest()
  const lines = names.split(';').map((name) => `${name}:${String(headers[name])}\n`)
  const canonical = `${method}\n${path}\n\n${lines.join('')}\n${names}\n${hash(body)}`
  const text = `AWS4-HMAC-SHA256\n${time}\n${day}/${region}/ses/aws4_request\n${hash(canonical)}`
  const key = hmac(hmac(hmac(hmac(`AWS4${secret}`, day), region), 'ses'), 'aws4_request')
  return hmac(key, text).toString('hex') === signature ? undefined : sesError(403, 'SignatureDoesNotMatch')
}
