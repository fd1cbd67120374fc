/** What the mailer tells the example of a sign-up: who may tell it, twice, in any order, and too early. */
import { randomUUID } from 'node:crypto'
import Fastify from 'fastify'
import { expect, onTestFinished, test } from 'vitest'
import { webhook } from '../../client/src/index.ts'
import { openAccounts } from '../../examples/signup/accounts.ts'
import { eventRoutes } from '../../examples/signup/events.ts'
import type { Site } from '../../examples/signup/request.ts'
import { bodyOf, type ToldEvent } from '../../src/callbacks/event-body.ts'
import { webhookHeaders } from '../../src/webhook.ts'

const secret = `whsec_${Buffer.alloc(32, 'ours').toString('base64')}`
const other = `whsec_${Buffer.alloc(32, 'theirs').toString('base64')}`
const early = { type: 'mail.delivered', sequence: 1 } as const
const late = { type: 'mail.bounced', sequence: 2, detail: 'hard' } as const
type Told = Pick<ToldEvent, 'type' | 'sequence'> & { readonly detail?: string }

async function site() {
  const accounts = openAccounts(':memory:')
  const user = accounts.register('ada@example.com', 'hash')!
  const mails = {
    readCall: (...call: [Uint8Array, object]) => webhook.verify(call[0], { ...call[1] }, secret),
  }
  const app = Fastify()
  // oxlint-disable-next-line no-unsafe-type-assertion -- all of it that is looked at
  await app.register(async (scope) => eventRoutes(scope, { accounts, mails } as unknown as Site))
  onTestFinished(async () => {
    await app.close()
    accounts.close()
  })
  const tell = async ({ detail, ...event }: Told, signer = secret, mail = 'mail-1') => {
    const now = Date.now()
    const body = bodyOf({ ...event, detail: detail ?? null, at: now, mail, app: 'default', kind: 'confirm' })
    const headers = {
      'content-type': 'application/json',
      ...webhookHeaders({ id: randomUUID(), now, body }, [signer]),
    }
    return (await app.inject({ method: 'POST', url: '/mail-events', headers, payload: body })).statusCode
  }
  const send = (id = 'mail-1', sent = 1, isLost = false, address = user.address) =>
    accounts.noteMail({ id, user: user.id, address, sent, isLost })
  return { app, accounts, user, tell, send, isUnreachable: () => accounts.isUnreachable(user) }
}

const orders: (Told | 'sent')[][] = [
  ['sent', early, late],
  ['sent', late, early],
  ['sent', late, late, early, late],
  [late, 'sent', early],
  [late, early, 'sent', late],
]
test.each(orders)('the latest event stands, whatever the order: %j', async (...order) => {
  const { tell, send, isUnreachable } = await site()
  for (const each of order)
    if (each === 'sent') send()
    else expect(await tell(each)).toBe(204)
  expect(isUnreachable()).toBe(true)
})

test('which events say that a mail did not arrive', async () => {
  const { tell, send, isUnreachable } = await site()
  send()
  const types = [
    ['mail.bounced', true],
    ['mail.sent', false],
    ['mail.dead', true],
    ['mail.delivered', false],
    ['mail.suppressed', true],
    ['webhook.test', true],
    ['mail.of_the_future', true],
    ['mail.complained', false],
  ] as const
  for (const [index, [type, expected]] of types.entries()) {
    // oxlint-disable-next-line no-unsafe-type-assertion -- a newer service may know more types
    expect(await tell({ type: type as ToldEvent['type'], sequence: index + 1 })).toBe(204)
    expect([type, isUnreachable()]).toEqual([type, expected])
  }
})

test('only the newest mail to the present address counts', async () => {
  const { accounts, user, tell, send, isUnreachable } = await site()
  send('mail-1', 1)
  send('mail-2', 2)
  await tell(late)
  expect(isUnreachable()).toBe(false)
  send('refused at once', 3, true)
  expect(isUnreachable()).toBe(true)
  accounts.setAddress(user.id, user.version, 'bea@example.com')
  expect(accounts.isUnreachable(accounts.userBy(user.id)!)).toBe(false)
})

test('who does not sign is not heard', async () => {
  const { app, tell, send, isUnreachable } = await site()
  send()
  expect(await tell(late, other)).toBe(401)
  for (const payload of ['', '{}', '{"type":"mail.bounced"}'])
    expect((await app.inject({ method: 'POST', url: '/mail-events', payload })).statusCode).toBe(401)
  expect(isUnreachable()).toBe(false)
})
