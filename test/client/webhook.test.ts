import { describe, expect, test } from 'vitest'
import { webhook } from '../../client/src/index.ts'
import { eventTypes } from '../../src/event.ts'
import { bodyOf } from '../../src/callbacks/event-body.ts'
import type { DueEvent } from '../../src/outbox/api.ts'
import { webhookHeaders } from '../../src/webhook.ts'

const secret = `whsec_${Buffer.alloc(32, 'current').toString('base64')}`
const previous = `whsec_${Buffer.alloc(32, 'previous').toString('base64')}`
const now = 1_800_000_000_000
const event: DueEvent = {
  id: 'evt_1',
  app: 'shop',
  mail: 'mail-1',
  kind: 'confirmation',
  detail: 'hard',
  at: now - 1000,
  sequence: now,
  ends: now,
  attempts: 1,
  leaseId: 1,
  type: 'mail.bounced',
}
const body = bodyOf(event)
const headers = webhookHeaders({ id: 'evt_1', now, body }, [secret])

describe('webhook.verify', () => {
  test('takes what the service signs, as Node and as a Request hand it over', async () => {
    const good = {
      ok: true,
      id: 'evt_1',
      event: {
        type: 'mail.bounced',
        timestamp: new Date(now - 1000),
        mail: 'mail-1',
        app: 'shop',
        kind: 'confirmation',
        sequence: now,
        bounce: 'hard',
      },
    }
    expect(await webhook.verify(body, headers, secret, { now })).toEqual(good)
    expect(await webhook.verify(Buffer.from(body), new Headers(headers), secret, { now })).toEqual(good)
    for (const type of eventTypes) {
      const told = bodyOf({ ...event, type })
      const signed = webhookHeaders({ id: 'evt_1', now, body: told }, [secret])
      expect(await webhook.verify(told, signed, secret, { now })).toMatchObject({ event: { type } })
    }
  })

  test('takes the example of the specification, which is no event', async () => {
    const example = {
      'Webhook-Id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'Webhook-Timestamp': '1614265330',
      'Webhook-Signature': 'v1,bm9uZQ== v2,abc v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    }
    const key = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
    const at = { now: 1_614_265_330_000 }
    expect(await webhook.verify('{"test": 2432232314}', example, key, at)).toEqual({
      ok: false,
      reason: 'malformed',
    })
    expect(await webhook.verify('{"test":2432232314}', example, key, at)).toMatchObject({ reason: 'forged' })
  })

  test('takes either secret while one replaces the other, on both sides', async () => {
    const both = webhookHeaders({ id: 'evt_1', now, body }, [secret, previous])
    const old = webhookHeaders({ id: 'evt_1', now, body }, [previous])
    expect(await webhook.verify(body, both, previous, { now })).toMatchObject({ ok: true })
    expect(await webhook.verify(body, old, [secret, previous], { now })).toMatchObject({ ok: true })
    expect(await webhook.verify(body, old, secret, { now })).toEqual({ ok: false, reason: 'forged' })
  })

  test.each([
    ['an old call', {}, body, now + 300_001 + 999, 'stale'],
    ['a call of the future', {}, body, now - 300_001, 'stale'],
    ['a changed body', {}, body.replace('hard', 'soft'), now, 'forged'],
    ['another id', { 'webhook-id': 'evt_2' }, body, now, 'forged'],
    ['another time', { 'webhook-timestamp': String(now / 1000 + 1) }, body, now, 'forged'],
    ['no signature', { 'webhook-signature': undefined }, body, now, 'unsigned'],
    ['a signature of another version', { 'webhook-signature': 'v1a,AAAA' }, body, now, 'unsigned'],
    ['a signature that is no Base64', { 'webhook-signature': 'v1,é' }, body, now, 'forged'],
    ['an id with a dot', { 'webhook-id': 'evt.1' }, body, now, 'unsigned'],
    ['a time that is none', { 'webhook-timestamp': '1e9' }, body, now, 'unsigned'],
    ['two times', { 'webhook-timestamp': ['1', '2'] }, body, now, 'unsigned'],
  ] as const)('refuses %s', async (_title, changes, given, at, reason) => {
    const changed = { ...headers, ...changes }
    expect(await webhook.verify(given, changed, secret, { now: at })).toEqual({ ok: false, reason })
  })

  test.each(['', 'whsec_', 'whsec_AAAA', 'whsec_é', secret.slice(6)])(
    'refuses the secret %j',
    async (bad) => {
      await expect(webhook.verify(body, headers, bad, { now })).rejects.toThrow(TypeError)
      await expect(webhook.verify(body, headers, [], { now })).rejects.toThrow(TypeError)
    },
  )
})
