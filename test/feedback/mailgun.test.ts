import { expect, it } from 'vitest'
import { mailgunFeedback } from '../../src/feedback/mailgun.ts'
import { reportingSystems } from '../support/reports.ts'

it('a signature of Mailgun is good for one event: over another one it is refused, repeated it is not', () => {
  const { settings, sign, event } = reportingSystems.find((system) => system.settings.relay === 'mailgun')!
  const source = mailgunFeedback(settings)
  const open = (text: string) => source.open({ headers: {}, body: Buffer.from(text), now: Date.now() })
  const { body } = sign([event('delivered', 'a-1')])
  const forged = JSON.stringify({ ...JSON.parse(body), 'event-data': event('bounced_hard', 'b-2') })
  expect(open(body)).toHaveLength(1)
  expect(open(body)).toHaveLength(1)
  expect(() => open(forged)).toThrow('token_signature')
})

it('a mail by SMTP is found by its Message-ID, and what was given up is no hard bounce', () => {
  const { readReport } = mailgunFeedback({ relay: 'mailgun', proofs: ['0123456789abcdef'] })
  const failed = (reason: string, status = {}) =>
    readReport({
      event: 'failed',
      severity: 'permanent',
      reason,
      'delivery-status': status,
      message: { headers: { 'message-id': 'a-1@x.example' } },
    })
  expect(failed('bounce')).toEqual({ messageId: 'a-1', feedback: 'bounced_hard' })
  expect(failed('bounce', { code: 550, 'enhanced-code': '5.1.1' })).toMatchObject({
    feedback: 'bounced_hard',
  })
  for (const status of [{ code: 550, 'enhanced-code': '5.7.1' }, { code: 552 }])
    expect(failed('bounce', status)).toMatchObject({ feedback: 'bounced_soft' })
  // what a stranger wrote into the mail may have made it spam
  expect(failed('generic', { code: 550 })).toMatchObject({ feedback: 'bounced_soft' })
  expect(failed('old')).toMatchObject({ feedback: 'bounced_soft' })
  expect(failed('espblock')).toMatchObject({ feedback: 'bounced_soft' })
  expect(failed('suppress-complaint')).toMatchObject({ feedback: 'suppressed_by_relay' })
})
