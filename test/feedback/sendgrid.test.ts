import { expect, it } from 'vitest'
import { sendgridFeedback } from '../../src/feedback/sendgrid.ts'

/** From SendGrid's own examples. */
const vectors = [
  {
    key: 'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEDr2LjtURuePQzplybdC+u4CwrqDqBaWjcMMsTbhdbcwHBcepxo7yAQGhHPTnlvFYPAZFceEu/1FwCM/QmGUhA==',
    signature:
      'MEUCIQCtIHJeH93Y+qpYeWrySphQgpNGNr/U+UyUlBkU6n7RAwIgJTz2C+8a8xonZGi6BpSzoQsbVRamr2nlxFDWYNH2j/0=',
    time: '1588788367',
    body: JSON.stringify({ category: 'example_payload', event: 'test_event', message_id: 'message_id' }),
  },
  {
    key: 'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==',
    signature:
      'MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=',
    time: '1600112502',
    // the line break is signed
    body: `${JSON.stringify([
      {
        email: 'hello@world.com',
        event: 'dropped',
        reason: 'Bounced Address',
        sg_event_id: 'ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA',
        sg_message_id: 'LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0',
        'smtp-id': '<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>',
        timestamp: 1600112492,
      },
    ])}\r\n`,
  },
]

it.each(vectors)('SendGrid signs as in its own example of $time', ({ key, signature, time, body }) => {
  const source = sendgridFeedback({ relay: 'sendgrid', proofs: [key] })
  const headers = {
    'x-twilio-email-event-webhook-signature': signature,
    'x-twilio-email-event-webhook-timestamp': time,
  }
  const now = Number(time) * 1000
  const open = (changes: object = {}) => source.open({ headers, body: Buffer.from(body), now, ...changes })
  expect(open()).toHaveLength(1)
  expect(() => open({ body: Buffer.from(body.trim() + ' ') })).toThrow('token_signature')
  expect(() =>
    open({ headers: { ...headers, 'x-twilio-email-event-webhook-timestamp': `${now / 1000 + 1}` } }),
  ).toThrow('token_signature')
})

it('a mail by SMTP is found by its Message-ID, and a dropped one by the words for it', () => {
  const { readReport } = sendgridFeedback({ relay: 'sendgrid', proofs: [vectors[0]!.key] })
  const dropped = (reason: string) => readReport({ event: 'dropped', 'smtp-id': '<a-1@x.example>', reason })
  expect(dropped('Bounced Address')).toEqual({ messageId: 'a-1', feedback: 'suppressed_by_relay' })
  expect(dropped('Spam Reporting Address')).toMatchObject({ feedback: 'suppressed_by_relay' })
  expect(dropped('Invalid')).toMatchObject({ feedback: 'bounced_hard' })
  expect(dropped('Invalid SMTPAPI header')).toBeUndefined()
  expect(dropped('Spam Content')).toBeUndefined()
})
