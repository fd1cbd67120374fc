/** Messages of SNS, and the certificates they name: a host that only looks like Amazon's, redirects, hanging hosts. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { Agent, createServer, type Server } from 'node:https'
import type { RequestListener } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type FetchDocument, fetchDocument } from '../src/small-document.ts'
import { snsReader } from '../src/sns-message.ts'
import { startAuthority } from './support/authority.ts'
import { portOf } from './support/port.ts'
import { certificateUrl, signSns, sns, snsHost, topic } from './support/reports.ts'

let folder: string
let server: Server
let agent: Agent
/** What was fetched of the host of SNS. */
let fetched: string[] = []
let answer: RequestListener = () => undefined
/** Shorter for a host that hangs. */
let timeoutMs: number
/** The certificate, and to everything else that all is well. */
const usual: RequestListener = ({ url }, response) =>
  void response.end(url?.endsWith('.pem') ? sns.certificate : 'ok')

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jwt-mailer-sns-'))
  const authority = await startAuthority(folder)
  const { key, cert } = await authority.certify(snsHost)
  const ca = await readFile(authority.caFile, 'utf8')
  server = createServer({ key, cert }, (request, response) => {
    fetched.push(request.url ?? '')
    answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // every name leads to this server, which has the certificate of one host
  agent = new Agent({ keepAlive: false })
  agent.createConnection = () =>
    tls.connect({ ca, host: '127.0.0.1', port: portOf(server), servername: snsHost })
})
afterAll(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  await rm(folder, { recursive: true })
})
beforeEach(() => {
  fetched = []
  answer = usual
  timeoutMs = 20_000
})

const get: FetchDocument = (url, options) => fetchDocument(url, { ...options, timeoutMs, agent })
const read = (changes: object = {}, reader = snsReader({ topics: [topic], get })) =>
  reader(Buffer.from(signSns(changes).body), Date.now())

describe('a notification of SNS', () => {
  it.each(['1', '2'])(
    'is read when it is signed (version %s), with and without a subject',
    async (SignatureVersion) => {
      expect(await read({ SignatureVersion, Message: '{"a":1}' })).toBe('{"a":1}')
      expect(await read({ SignatureVersion, Message: 'text', Subject: 'Amazon SES' })).toBe('text')
    },
  )

  it('needs its certificate once, however many come at once', async () => {
    const reader = snsReader({ topics: [topic], get })
    await Promise.all(Array.from({ length: 20 }, () => read({}, reader)))
    await read({}, reader)
    expect(fetched).toEqual([certificateUrl.slice(`https://${snsHost}`.length)])
  })

  it('of another topic is refused before anything is fetched', async () => {
    for (const TopicArn of [`${topic}2`, topic.replace('eu-central-1', 'eu-west-1'), topic.toUpperCase(), ''])
      await expect(read({ TopicArn })).rejects.toMatchObject({ code: 'token_signature', reason: 'topic' })
    expect(fetched).toEqual([])
  })

  it.each([
    'http://sns.eu-central-1.amazonaws.com/SimpleNotificationService-1.pem',
    'https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem',
    'https://attacker.s3.amazonaws.com/SimpleNotificationService-1.pem',
    'https://sns.eu-central-1.amazonaws.com.attacker.example/SimpleNotificationService-1.pem',
    'https://sns.eu-central-1.amazonaws.com@attacker.example/SimpleNotificationService-1.pem',
    'https://user:pass@sns.eu-central-1.amazonaws.com/SimpleNotificationService-1.pem',
    'https://sns.eu-central-1.amazonaws.com:8443/SimpleNotificationService-1.pem',
    'https://sns-eu-central-1.amazonaws.com/SimpleNotificationService-1.pem',
    'https://xsns.eu-central-1.amazonaws.com/SimpleNotificationService-1.pem',
    'https://sns.eu-central-1.amazonaws.com/bucket/SimpleNotificationService-1.pem',
    'https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-1.pem/../../x',
    'https://sns.eu-central-1.amazonaws.com/?Action=GetTopic',
    'file:///etc/passwd',
    'certificate',
    '',
  ])('is refused unfetched when its certificate is at %s', async (SigningCertURL) => {
    await expect(read({ SigningCertURL })).rejects.toMatchObject({
      code: 'token_signature',
      reason: 'certificate',
    })
    expect(fetched).toEqual([])
  })

  it.each<[string, RequestListener]>([
    ['redirects', (_, response) => void response.writeHead(302, { location: certificateUrl }).end()],
    ['hangs', () => undefined],
    ['answers without end', (_, response) => void response.write(Buffer.alloc(64 * 1024))],
    ['fails', (_, response) => void response.writeHead(500).end(sns.certificate)],
  ])('is to be repeated when the host of its certificate %s, and then taken', async (title, act) => {
    const reader = snsReader({ topics: [topic], get })
    answer = act
    if (title === 'hangs') timeoutMs = 1_500
    await expect(read({}, reader)).rejects.toMatchObject({ code: 'relay_unavailable', reason: 'certificate' })
    expect(fetched).toHaveLength(1)
    answer = usual
    timeoutMs = 20_000
    expect(await read({ Message: 'now' }, reader)).toBe('now')
  })

  it('is refused when what comes is no certificate, and when it is one of another key', async () => {
    answer = (_, response) => void response.end('no certificate')
    await expect(read()).rejects.toMatchObject({ code: 'token_signature', reason: 'certificate' })
    answer = async (_, response) => void response.end(await readFile(join(folder, 'ca.pem')))
    await expect(read()).rejects.toMatchObject({ code: 'token_signature', reason: 'invalid signature' })
  })

  it('that names ever new certificates is fetched for a few times a minute only', async () => {
    const reader = snsReader({ topics: [topic], get })
    answer = (_, response) => void response.writeHead(404).end()
    for (let number = 0; number < 30; number += 1)
      await read({ SigningCertURL: certificateUrl.replace('9c64', String(1000 + number)) }, reader).catch(
        () => undefined,
      )
    expect(fetched).toHaveLength(20)
  })

  it('that is forged does not put out the certificate of those that are not', async () => {
    const reader = snsReader({ topics: [topic], get })
    await read({}, reader)
    const right = answer
    answer = (_, response) => void response.writeHead(200).end('no certificate')
    for (let number = 0; number < 30; number += 1)
      await read({ SigningCertURL: certificateUrl.replace('9c64', String(1000 + number)) }, reader).catch(
        () => undefined,
      )
    answer = right
    expect(await read({}, reader)).toBeDefined()
    await expect(read({ SigningCertURL: `${certificateUrl}?1` }, reader)).rejects.toMatchObject({
      reason: 'certificate',
    })
  })
})

describe('a subscription of SNS', () => {
  const SubscribeURL = `https://${snsHost}/?Action=ConfirmSubscription&TopicArn=${topic}&Token=abc`
  const confirmation = {
    Type: 'SubscriptionConfirmation',
    Token: 'abc',
    SubscribeURL,
    Message: 'You have chosen',
  }

  it('of our topic is confirmed once it is verified', async () => {
    expect(await read(confirmation)).toBeUndefined()
    expect(fetched).toEqual([
      expect.stringContaining('.pem'),
      expect.stringContaining('Action=ConfirmSubscription'),
    ])
  })

  it('that is forged, of another topic, or leads elsewhere is not', async () => {
    const forged = signSns(confirmation).body.replace('You have chosen', 'You have not')
    await expect(snsReader({ topics: [topic], get })(Buffer.from(forged), Date.now())).rejects.toThrow(
      'token_signature',
    )
    await expect(read({ ...confirmation, TopicArn: `${topic}2` })).rejects.toThrow('token_signature')
    for (const url of [
      'https://attacker.example/',
      `https://${snsHost}/other`,
      `http://${snsHost}/?Action=x`,
    ])
      await expect(read({ ...confirmation, SubscribeURL: url })).rejects.toMatchObject({
        reason: 'certificate',
      })
    expect(fetched.filter((path) => !path.endsWith('.pem'))).toEqual([])
  })

  it('that ends is no concern of ours', async () => {
    expect(await read({ ...confirmation, Type: 'UnsubscribeConfirmation' })).toBeUndefined()
    expect(fetched.filter((path) => !path.endsWith('.pem'))).toEqual([])
  })
})
