import { expect, it } from 'vitest'
import { readConfig } from '../../src/config/config.ts'
import { examineFeedback } from '../../src/doctor/feedback.ts'

const from = { MAIL_FROM: 'noreply@example.com' }
const aws = { SES_REGION: 'eu-central-1', AWS_ACCESS_KEY_ID: 'AKIA', AWS_SECRET_ACCESS_KEY: 'secret' }
const topic = { SES_FEEDBACK_TOPICS: 'arn:aws:sns:eu-central-1:123456789012:mails' }
const linesOf = (env: NodeJS.ProcessEnv) => {
  const findings = examineFeedback(readConfig({ ...from, ...env }))
  return findings.map(({ level, says }) => `${level}: ${says}`)
}
const nothing = 'ok: no relay may report, so no bounce is heard of and no address is suppressed'
const ofApp = 'ok: a hard bounce suppresses its address for the app whose mail it was (SUPPRESSION=app)'

it('says which relays report, which could, and which cannot', () => {
  expect(linesOf({ SMTP_URL: 'smtp://relay.example' })).toEqual([nothing])
  expect(linesOf({ RESEND_API_KEY: 're_1', SMTP_URL: 'smtp://relay.example' })).toEqual([
    'ok: resend could report what becomes of a mail: set RESEND_FEEDBACK_SECRET',
    'ok: smtp: mails by SMTP; MailerToGo and plain SMTP send no feedback',
    nothing,
  ])
  expect(linesOf({ ...aws, ...topic, SES_CONFIGURATION_SET: 'mails' })).toEqual([
    'ok: /feedback/ses takes what it reports',
    ofApp,
  ])
})

it('says whom a bounce suppresses', () => {
  const suppressing = (env: NodeJS.ProcessEnv) =>
    linesOf({ ...aws, SES_CONFIGURATION_SET: 'mails', ...env }).at(-1)
  expect(suppressing(topic)).toBe(ofApp)
  expect(suppressing({ ...topic, SUPPRESSION: 'all' })).toContain('for all apps (SUPPRESSION=all)')
  expect(suppressing({ ...topic, SUPPRESSION: 'off' })).toMatch(/^ok: SUPPRESSION=off: /)
  expect(suppressing({ SUPPRESSION: 'app' })).toMatch(/^ok: SUPPRESSION=app, but no relay may report: /)
})

it('finds that SES cannot say which mail it reports of', () => {
  expect(linesOf({ ...aws, ...topic })).toEqual([
    'ok: /feedback/ses takes what it reports',
    'warn: SES reports the id of a mail only with a configuration set',
    ofApp,
  ])
})
