import { generateKeyPairSync } from 'node:crypto'
import { expect, it } from 'vitest'
import { ConfigError, problemLine } from '../../src/config/config-error.ts'
import { readConfig } from '../../src/config/config.ts'

const key = (namedCurve: string) =>
  generateKeyPairSync('ec', { namedCurve })
    .publicKey.export({ format: 'der', type: 'spki' })
    .toString('base64')
const topics = ['mails', 'others'].map((name) => `arn:aws:sns:eu-central-1:123456789012:${name}`)
const good = {
  SENDGRID_FEEDBACK_KEY: key('P-256'),
  SES_FEEDBACK_TOPICS: topics.join(', '),
  POSTMARK_FEEDBACK_LOGIN: 'postmark:1d5fa87c902b43e6',
  MAILGUN_FEEDBACK_KEY: 'f2c4b6d8e0a1938475665748392a1b0c',
  RESEND_FEEDBACK_SECRET: `whsec_${Buffer.alloc(24, 7).toString('base64')}`,
  BREVO_FEEDBACK_LOGIN: 'brevo:with:colons/in 1d5fa87c'.replace(' ', '-'),
}
const problemsOf = (env: NodeJS.ProcessEnv) => {
  try {
    readConfig(env)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(problemLine)
    throw error
  }
}

it('a relay may report where its variable is set, and only there', () => {
  expect(readConfig({}).feedback).toEqual([])
  const { feedback } = readConfig(good)
  expect(feedback.map(({ relay }) => relay)).toEqual([
    'sendgrid',
    'ses',
    'postmark',
    'mailgun',
    'resend',
    'brevo',
  ])
  expect(feedback[1]?.proofs).toEqual(topics)
})

it.each([
  ['SENDGRID_FEEDBACK_KEY', 'no key'],
  ['SENDGRID_FEEDBACK_KEY', Buffer.from('SG.an-api-key-of-sendgrid').toString('base64')],
  ['SES_FEEDBACK_TOPICS', 'mails'],
  ['SES_FEEDBACK_TOPICS', `${topics[0]},`],
  ['SES_FEEDBACK_TOPICS', topics[0]!.replace('sns', 'sqs')],
  ['POSTMARK_FEEDBACK_LOGIN', 'password-without-a-user'],
  ['POSTMARK_FEEDBACK_LOGIN', 'postmark:short'],
  ['BREVO_FEEDBACK_LOGIN', 'brevo:aaaaaaaaaaaaaaaaaaaaaaaa'],
  ['BREVO_FEEDBACK_LOGIN', ':1d5fa87c902b43e6'],
  ['MAILGUN_FEEDBACK_KEY', 'short'],
  ['RESEND_FEEDBACK_SECRET', 're_123456789'],
])('%s that is %j stops the start, and a secret is not repeated', (variable, value) => {
  const lines = problemsOf({ ...good, [variable]: value })
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatch(new RegExp(`^${variable}: must `))
  if (variable !== 'SES_FEEDBACK_TOPICS') expect(lines[0]).not.toContain(value)
})
