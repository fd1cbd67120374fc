/**
 * Owns the signature of requests to AWS: Signature Version 4, as the "Signature Version 4 signing process" of the AWS
 * General Reference describes it, for requests whose path and query need no encoding.
 */
import { createHash, createHmac } from 'node:crypto'

export interface AwsCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Of temporary credentials. */
  readonly sessionToken: string | undefined
}

export interface AwsRequest {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly service: string
  readonly region: string
  readonly date: Date
}

/** The headers to send: those of the request, the date, and what proves the credentials. Names are lower-case. */
export function signAws(request: AwsRequest, credentials: AwsCredentials): Record<string, string> {
  const { accessKeyId, secretAccessKey, sessionToken } = credentials
  const time = request.date.toISOString().replace(/[-:]|\.\d+/g, '')
  const day = time.slice(0, 8)
  const { host, pathname, search } = new URL(request.url)
  const headers = {
    ...request.headers,
    'x-amz-date': time,
    ...(sessionToken !== undefined && { 'x-amz-security-token': sessionToken }),
  }
  const signed = Object.entries({ ...headers, host }).toSorted(([a], [b]) => (a < b ? -1 : 1))
  const names = signed.map(([name]) => name).join(';')
  const lines = signed.map(([name, value]) => `${name}:${value.trim()}\n`).join('')
  const canonical = [request.method, pathname, search.slice(1), lines, names, sha256(request.body)].join('\n')
  const scope = `${day}/${request.region}/${request.service}/aws4_request`
  const key = [day, request.region, request.service, 'aws4_request'].reduce<string | Buffer>(
    (last, part) => createHmac('sha256', last).update(part).digest(),
    `AWS4${secretAccessKey}`,
  )
  const signature = createHmac('sha256', key)
    .update(['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n'))
    .digest('hex')
  const authorization = `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`
  return { ...headers, authorization }
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
