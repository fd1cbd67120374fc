import { expect, it } from 'vitest'
import { readConfig } from '../../src/config/config.ts'
import { examineWebhooks } from '../../src/doctor/webhooks.ts'

const secret = `whsec_${Buffer.from('a secret of thirty-two bytes, no less').toString('base64')}`

it('says which apps are called back, and which variable belongs to none', () => {
  const apps = ['default', 'my-shop']
  const linesOf = (env: NodeJS.ProcessEnv) =>
    examineWebhooks(readConfig(env).webhooks, apps).map(({ level, says }) => `${level}: ${says}`)
  expect(linesOf({})).toEqual([])
  const url = 'https://app.example.com/events'
  const shared = { JWT_MAILER_WEBHOOK_SECRET: secret }
  expect(linesOf({ ...shared, JWT_MAILER_WEBHOOK_MY_SHOP: url })).toEqual([
    'ok: called back: my-shop; try it with jwt-mailer webhook my-shop',
  ])
  expect(linesOf({ ...shared, JWT_MAILER_WEBHOOK_SHOP: url })).toEqual([
    'bad: JWT_MAILER_WEBHOOK_SHOP: belongs to no app of the mails, so nobody is called back',
  ])
})
