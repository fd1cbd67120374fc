import { describe, expect, it } from 'vitest'
import { redactor } from '../../src/doctor/redact.ts'
import { password } from './healthy-deployment.ts'

describe('a secret', () => {
  it('is taken out of findings in every spelling a relay may repeat', () => {
    const clean = redactor({
      SMTP_URL: `smtp://user:${encodeURIComponent(password)}@relay.test:587`,
      SENDGRID_API_KEY: 'SG.key',
      DATABASE_URL: 'postgres://mailer:geheim@db/mails',
      HOST: 'localhost',
    })
    const plain = Buffer.from(`\0user\0${password}`).toString('base64')
    const says = `${password} ${encodeURIComponent(password)} ${plain} ${Buffer.from(password).toString('base64')} SG.key geheim localhost`
    expect(clean({ area: 'a', level: 'bad', says, todo: 'ask geheim' })).toEqual({
      area: 'a',
      level: 'bad',
      says: '*** *** *** *** *** *** localhost',
      todo: 'ask ***',
    })
  })
})
