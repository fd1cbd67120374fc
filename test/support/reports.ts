/** Owns what the tests of feedback share: each relay as it reports, with a key that it has and one that it has not. */
import { execFileSync } from 'node:child_process'
import { createHmac, createSign, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Webhook } from 'standardwebhooks'
import type { Feedback } from '../../src/feedback.ts'
import type { FeedbackSettings, FeedbackSource } from '../../src/feedback-source.ts'
import { sesFeedback } from '../../src/feedback/ses.ts'

export interface SignedReport {
  readonly headers: Record<string, string>
  readonly body: string
}

export interface ReportingSystem {
  readonly settings: FeedbackSettings
  /** One event about the mail with this id, as the relay writes it. */
  readonly event: (feedback: Feedback, messageId: string) => object
  /** Events that are not for us, as the relay really sends them. */
  readonly others: readonly object[]
  /** The events of one request, signed as the relay signs. `forged`: with a key that is not the relay's. */
  readonly sign: (events: readonly unknown[], forged?: boolean, at?: Date) => SignedReport
  /** Several events in one request? */
  readonly batches: boolean
  /** What the proof is in: a signature over the bytes, one inside of the body, or a login. */
  readonly bound: 'bytes' | 'body' | 'login'
  /** Does the proof cover what is reported? */
  readonly coversWords: boolean
  /** For how long a report is good, in ms. */
  readonly goodForMs?: number
  readonly source?: FeedbackSource
}

const json = (events: readonly unknown[]) => JSON.stringify(events.length === 1 ? events[0] : events)
const secretOf = (text: string) => `whsec_${Buffer.from(text).toString('base64')}`

// ---- SendGrid

const [sendgridKey, forgedKey] = [1, 2].map(() => generateKeyPairSync('ec', { namedCurve: 'P-256' }))
const spki = (key: KeyObject) => key.export({ format: 'der', type: 'spki' }).toString('base64')
const sendgridEvents: Record<Feedback, object> = {
  delivered: { event: 'delivered', response: '250 OK' },
  delayed: { event: 'deferred', response: '400 try again later', attempt: '5' },
  bounced_hard: { event: 'bounce', type: 'bounce', status: '5.0.0', reason: '500 unknown recipient' },
  bounced_soft: { event: 'bounce', type: 'blocked', status: '4.0.0' },
  suppressed_by_relay: { event: 'dropped', reason: 'Bounced Address', status: '5.0.0' },
  complained: { event: 'spamreport' },
}

export function signSendgrid(body: string, privateKey: KeyObject, at = new Date()): SignedReport {
  const time = String(Math.floor(at.getTime() / 1000))
  const signature = createSign('sha256').update(time).update(body).sign(privateKey, 'base64')
  return {
    headers: {
      'content-type': 'application/json',
      'x-twilio-email-event-webhook-signature': signature,
      'x-twilio-email-event-webhook-timestamp': time,
    },
    body,
  }
}

const sendgrid: ReportingSystem = {
  settings: { relay: 'sendgrid', proofs: [spki(sendgridKey!.publicKey)] },
  event: (feedback, mail) => ({
    email: 'ada@example.com',
    timestamp: 1_800_000_000,
    sg_event_id: randomUUID(),
    sg_message_id: 'LRzXl_NHStOGhQ4kofSm_A.filterdrecv-1',
    mail,
    ...sendgridEvents[feedback],
  }),
  others: [
    { email: 'ada@example.com', event: 'processed', mail: 'x' },
    { event: 'open', useragent: 'Mozilla' },
    { event: 'dropped', reason: 'Invalid SMTPAPI header' },
    { event: 'account_status_change', type: 'compliance_suspend' },
  ],
  // its items are separated by line breaks, and one ends the body
  sign: (events, forged, at) => {
    const body = `[${events.map((event) => JSON.stringify(event)).join(',\r\n')}]\r\n`
    return signSendgrid(body, (forged ? forgedKey : sendgridKey)!.privateKey, at)
  },
  batches: true,
  bound: 'bytes',
  coversWords: true,
  goodForMs: 25 * 3_600_000,
}

// ---- Amazon SES through SNS

export const topic = 'arn:aws:sns:eu-central-1:123456789012:mails'
export const snsHost = 'sns.eu-central-1.amazonaws.com'
export const certificateUrl = `https://${snsHost}/SimpleNotificationService-9c6465fa7f48f5cacd23014631ec1136.pem`

/** A key of RSA, and its certificate. */
function rsaCertificate(): { key: string; certificate: string } {
  const folder = mkdtempSync(join(tmpdir(), 'jwt-mailer-sns-'))
  const [key, certificate] = [join(folder, 'key'), join(folder, 'certificate')]
  const options = 'req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=sns.amazonaws.com'.split(' ')
  execFileSync('openssl', [...options, '-keyout', key, '-out', certificate], { stdio: 'ignore' })
  const made = { key: readFileSync(key, 'utf8'), certificate: readFileSync(certificate, 'utf8') }
  rmSync(folder, { recursive: true })
  return made
}
export const sns = rsaCertificate()
const forgedSns = generateKeyPairSync('rsa', { modulusLength: 2048 })

/** As SNS signs: each value on a line below its name. */
export function signSns(changes: object, key: KeyObject | string = sns.key): SignedReport {
  const message: Record<string, string> = {
    Type: 'Notification',
    MessageId: randomUUID(),
    TopicArn: topic,
    Message: '{}',
    Timestamp: new Date().toISOString(),
    SignatureVersion: '2',
    SigningCertURL: certificateUrl,
    UnsubscribeURL: `https://${snsHost}/?Action=Unsubscribe`,
    ...changes,
  }
  const names =
    message['Type'] === 'Notification'
      ? ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type']
      : ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type']
  const text = names.map((name) => (name in message ? `${name}\n${message[name]}\n` : '')).join('')
  const algorithm = message['SignatureVersion'] === '1' ? 'sha1' : 'sha256'
  const Signature = createSign(algorithm).update(text).sign(key, 'base64')
  return {
    headers: {
      'content-type': 'text/plain; charset=UTF-8',
      'x-amz-sns-message-type': String(message['Type']),
    },
    body: JSON.stringify({ ...message, Signature }, null, 2),
  }
}

const permanent = (bounceSubType: string) => ({
  eventType: 'Bounce',
  bounce: {
    bounceType: 'Permanent',
    bounceSubType,
    bouncedRecipients: [{ emailAddress: 'ada@example.com' }],
  },
})
const sesEvents: Record<Feedback, object> = {
  delivered: { eventType: 'Delivery', delivery: { smtpResponse: '250 ok' } },
  delayed: { eventType: 'DeliveryDelay', deliveryDelay: { delayType: 'MailboxFull' } },
  bounced_hard: permanent('NoEmail'),
  bounced_soft: { eventType: 'Bounce', bounce: { bounceType: 'Transient', bounceSubType: 'MailboxFull' } },
  suppressed_by_relay: permanent('OnAccountSuppressionList'),
  complained: {
    eventType: 'Complaint',
    complaint: { complaintFeedbackType: 'abuse', complaintSubType: null },
  },
}

const sesSettings = { relay: 'ses', proofs: [topic] } as const
const ses: ReportingSystem = {
  settings: sesSettings,
  event: (feedback, mail) => ({
    ...sesEvents[feedback],
    mail: { messageId: randomUUID(), destination: ['ada@example.com'], tags: { mail: [mail] } },
  }),
  others: [
    { eventType: 'Send', mail: { tags: { mail: ['x'] } }, send: {} },
    {
      eventType: 'Complaint',
      complaint: { complaintFeedbackType: 'not-spam' },
      mail: { tags: { mail: ['x'] } },
    },
    { eventType: 'Open', mail: { messageId: 'x' } },
  ],
  sign: (events, forged, at = new Date()) =>
    signSns({ Message: json(events), Timestamp: at.toISOString() }, forged ? forgedSns.privateKey : sns.key),
  batches: false,
  bound: 'body',
  coversWords: true,
  goodForMs: 25 * 3_600_000,
  source: sesFeedback(sesSettings, async (url) => {
    if (url.href !== certificateUrl) throw new Error('a fetch that nobody expects')
    return sns.certificate
  }),
}

// ---- logins

const basic = (login: string) => ({
  'content-type': 'application/json',
  authorization: `Basic ${Buffer.from(login).toString('base64')}`,
})
const [login, forgedLogin] = ['relay:ihLdv7cJqbuZbTTCp3Xq', 'relay:another password here']

const bounce = (Type: string) => ({ RecordType: 'Bounce', Type, Description: 'words' })
const postmarkEvents: Record<Feedback, object> = {
  delivered: { RecordType: 'Delivery', Details: 'Test' },
  delayed: bounce('Transient'),
  bounced_hard: bounce('HardBounce'),
  bounced_soft: bounce('SoftBounce'),
  suppressed_by_relay: bounce('ManuallyDeactivated'),
  complained: { RecordType: 'SpamComplaint', Type: 'SpamComplaint' },
}
const postmark: ReportingSystem = {
  settings: { relay: 'postmark', proofs: [login] },
  event: (feedback, mail) => ({
    ...postmarkEvents[feedback],
    MessageID: randomUUID(),
    Email: 'ada@example.com',
    Metadata: { mail },
  }),
  others: [
    { RecordType: 'Open', Metadata: { mail: 'x' } },
    { ...bounce('AutoResponder'), Metadata: { mail: 'x' } },
    { RecordType: 'SubscriptionChange', SuppressSending: true },
    { ...bounce('HardBounce'), Metadata: {} },
  ],
  sign: (events, forged) => ({ headers: basic(forged ? forgedLogin : login), body: json(events) }),
  batches: false,
  bound: 'login',
  coversWords: false,
}

const brevoEvents: Record<Feedback, string> = {
  delivered: 'delivered',
  delayed: 'deferred',
  bounced_hard: 'hard_bounce',
  bounced_soft: 'soft_bounce',
  suppressed_by_relay: 'blocked',
  complained: 'spam',
}
const brevo: ReportingSystem = {
  settings: { relay: 'brevo', proofs: [login] },
  event: (feedback, mail) => ({
    event: brevoEvents[feedback],
    email: 'ada@example.com',
    ts_epoch: Date.now(),
    'message-id': '<202611@smtp-relay.mailin.fr>',
    tag: JSON.stringify([mail]),
    tags: [mail],
  }),
  others: [
    { event: 'request', tags: ['x'] },
    { event: 'unsubscribed', email: 'ada@example.com' },
  ],
  sign: (events, forged) => ({ headers: basic(forged ? forgedLogin : login), body: json(events) }),
  batches: true,
  bound: 'login',
  coversWords: false,
}

// ---- Mailgun

const mailgunEvents: Record<Feedback, object> = {
  delivered: { event: 'delivered', 'delivery-status': { code: 250 } },
  delayed: { event: 'failed', severity: 'temporary', reason: 'generic' },
  bounced_hard: {
    event: 'failed',
    severity: 'permanent',
    reason: 'bounce',
    'delivery-status': { code: 550 },
  },
  bounced_soft: { event: 'failed', severity: 'permanent', reason: 'old' },
  suppressed_by_relay: { event: 'failed', severity: 'permanent', reason: 'suppress-bounce' },
  complained: { event: 'complained' },
}
const [mailgunKey, forgedMailgunKey] = [
  'f2c4b6d8e0a1938475665748392a1b0c',
  '00112233445566778899aabbccddeeff',
]
const mailgun: ReportingSystem = {
  settings: { relay: 'mailgun', proofs: [mailgunKey] },
  event: (feedback, mail) => ({
    id: randomUUID(),
    recipient: 'ada@example.com',
    message: { headers: { 'message-id': `${mail}@mail.example.com` } },
    'user-variables': { mail },
    ...mailgunEvents[feedback],
  }),
  others: [
    { event: 'opened', 'user-variables': { mail: 'x' } },
    { event: 'unsubscribed', recipient: 'ada@example.com' },
  ],
  sign: ([event], forged, at = new Date()) => {
    const timestamp = String(Math.floor(at.getTime() / 1000))
    const token = randomUUID().repeat(2).slice(0, 50)
    const key = forged ? forgedMailgunKey : mailgunKey
    const signature = createHmac('sha256', key)
      .update(timestamp + token)
      .digest('hex')
    return {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ signature: { timestamp, token, signature }, 'event-data': event }),
    }
  },
  batches: false,
  bound: 'body',
  coversWords: false,
  goodForMs: 9 * 3_600_000,
}

// ---- Resend

const resendEvents: Record<Feedback, object> = {
  delivered: { type: 'email.delivered' },
  delayed: { type: 'email.delivery_delayed' },
  bounced_hard: { type: 'email.bounced', bounce: { type: 'Permanent', subType: 'General' } },
  bounced_soft: { type: 'email.bounced', bounce: { type: 'Transient', subType: 'MailboxFull' } },
  suppressed_by_relay: { type: 'email.suppressed' },
  complained: { type: 'email.complained' },
}
const [resendSecret, forgedSecret] = [
  'a webhook secret of 32 bytes, 01',
  'a webhook secret of 32 bytes, 02',
].map(secretOf)
const resend: ReportingSystem = {
  settings: { relay: 'resend', proofs: [resendSecret!] },
  event: (feedback, mail) => {
    const { type, ...more } = { type: '', ...resendEvents[feedback] }
    return {
      type,
      created_at: new Date().toISOString(),
      data: { email_id: randomUUID(), tags: { mail }, ...more },
    }
  },
  others: [
    { type: 'email.opened', data: { tags: { mail: 'x' } } },
    { type: 'suppression.added', data: { id: 'x', email: 'ada@example.com' } },
  ],
  sign: (events, forged, at = new Date()) => {
    const [id, body] = [`msg_${randomUUID()}`, json(events)]
    const signature = new Webhook((forged ? forgedSecret : resendSecret)!).sign(id, at, body)
    const headers = {
      'content-type': 'application/json',
      'svix-id': id,
      'svix-timestamp': String(Math.floor(at.getTime() / 1000)),
      'svix-signature': signature,
    }
    return { headers, body }
  },
  batches: false,
  bound: 'bytes',
  coversWords: true,
  goodForMs: 300_000,
}

export const reportingSystems = [sendgrid, ses, postmark, mailgun, resend, brevo]
