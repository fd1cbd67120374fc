/** The outbox as an operator sees it, on both stores: what the command says, writes as JSON, and ends with. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { runCommand } from '../../src/cli.ts'
import { testApp, type TestApp } from '../support/app.ts'
import { engines, type ServiceStore, type ServiceStores } from '../support/service-store.ts'
import { sampleClaims, secret, signToken } from '../support/tokens.ts'
import { titled } from '../support/missing.ts'

interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

async function run(env: NodeJS.ProcessEnv, ...words: string[]): Promise<Ran> {
  let [out, err] = ['', '']
  const terminal = {
    out: (line: string) => void (out += `${line}\n`),
    err: (line: string) => void (err += `${line}\n`),
    paint: (_style: string, text: string) => text,
  }
  const code = await runCommand(['outbox', ...words], terminal, env)
  return { code, out, err }
}

const base = {
  NODE_ENV: 'production',
  JWT_MAILER_SECRET: secret,
  MAIL_FROM: 'noreply@example.com',
  SMTP_URL: 'smtp://localhost:25?tls=off',
}

describe.each(engines)('an outbox on $engine', ({ missing, startStores }) => {
  if (missing !== undefined) return it.skip(titled('everything', missing), () => undefined)

  let stores: ServiceStores
  let store: ServiceStore
  let service: TestApp
  const outbox = (...words: string[]) => run({ ...base, ...store.env }, ...words)
  const json = async (...words: string[]) => JSON.parse((await outbox(...words, '--json')).out)

  /** What the relay says to RCPT decides over the mail. */
  async function send(jti: string): Promise<string> {
    const token = signToken(sampleClaims({ jti }))
    const response = await service.app.inject({ method: 'POST', url: '/emailservice', payload: { token } })
    const { id } = response.json<{ id?: string }>()
    const [row] = await store.rows(`select id from outbox_mail order by created desc, id limit 1`)
    return id ?? String(row?.['id'])
  }

  beforeAll(async () => {
    stores = await startStores()
  })
  afterAll(() => stores.close())
  beforeEach(async () => {
    store = await stores.fresh()
    let tick = Date.now() - 60_000
    service = await testApp({
      engine: store.engine(),
      now: () => (tick += 1_000),
      script: { RCPT: (count) => ['250 ok', '450 later', '550 nobody', '550 nobody'][count - 1] ?? '250 ok' },
    })
  })

  async function oneOfEach(): Promise<{ sent: string; queued: string; dead: string }> {
    const ids = { sent: await send('sent'), queued: await send('queued'), dead: await send('dead') }
    await expect.poll(() => json('stats')).toMatchObject({ sending: 0, queued: 1, sent: 1, dead: 1 })
    return ids
  }

  it('tells how many mails are in which state, and since when one waits', async () => {
    await oneOfEach()
    const { code, out } = await outbox('stats')
    expect(code).toBe(0)
    expect(out).toMatch(
      /^sending {2}0\nqueued {3}1\nsent {5}1\ndead {5}1\nThe oldest unsent mail was accepted at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\.\n$/,
    )
    expect(await json('stats')).toEqual({
      sending: 0,
      queued: 1,
      sent: 1,
      dead: 1,
      most: 100_000,
      oldest: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    })
  })

  it('tells so when there is nothing', async () => {
    expect(await json('stats')).toEqual({
      sending: 0,
      queued: 0,
      sent: 0,
      dead: 0,
      most: 100_000,
      oldest: null,
    })
    expect(await outbox('list')).toEqual({ code: 0, out: 'No mail is dead.\n', err: '' })
    expect(await json('list')).toEqual({ mails: [] })
    expect(await json('requeue', '--all-dead')).toEqual({ requeued: 0 })
    expect(await outbox('purge')).toMatchObject({ code: 0, out: '0 mails were deleted.\n' })
  })

  it('lists the dead ones, or those of another state, as a table and as JSON', async () => {
    const { dead, queued } = await oneOfEach()
    const { code, out } = await outbox('list')
    expect(code).toBe(0)
    const [header = '', row = '', ...more] = out.trimEnd().split('\n')
    expect(header).toMatch(/^ID +APP +KIND +STATE +TRIES +WHY +ACCEPTED +EXPIRES$/)
    expect(row).toContain(`${dead}  default  confirmation  dead   1      recipient  `)
    expect(row.indexOf('recipient')).toBe(header.indexOf('WHY'))
    expect(more).toEqual([])
    expect(await json('list', '--state', 'queued')).toEqual({
      mails: [expect.objectContaining({ id: queued, state: 'queued', attempts: 1, detail: 'recipient' })],
    })
  })

  it('says what there is when the list is empty', async () => {
    await oneOfEach()
    expect((await outbox('list', '--state', 'sending')).out).toMatch(
      /^No mail is sending\. There are: 1 queued \(--state queued\), .*1 dead \(--state dead\)\.\n$/,
    )
  })

  it('lists no more than asked for', async () => {
    await oneOfEach()
    await send('another')
    await expect.poll(async () => (await json('list')).mails).toHaveLength(2)
    expect((await json('list', '--limit', '1')).mails).toHaveLength(1)
  })

  it('shows everything about one mail but whom it is for', async () => {
    const { dead } = await oneOfEach()
    const { code, out } = await outbox('show', dead)
    expect(code).toBe(0)
    expect(out).toMatch(new RegExp(`^id +${dead}$`, 'm'))
    expect(out).toMatch(/^detail +recipient$/m)
    expect(out).toMatch(/^relay +-$/m)
    expect(Object.keys(await json('show', dead)).toSorted()).toEqual(
      [
        'feedback',
        'id',
        'app',
        'kind',
        'state',
        'attempts',
        'due',
        'expires',
        'created',
        'done',
        'detail',
        'relay',
      ].toSorted(),
    )
    expect(out).not.toMatch(/ada|example\.com/)
  })

  it('queues one dead mail again, and a service sends it', async () => {
    const { dead } = await oneOfEach()
    await send('another')
    expect(await outbox('requeue', dead)).toEqual({ code: 0, out: '1 mail is queued again.\n', err: '' })
    expect(await json('show', dead)).toMatchObject({ state: 'queued', attempts: 0, done: null })
    const other = await testApp({ engine: store.engine(), pump: { everyMs: 20 } })
    await expect.poll(() => json('show', dead)).toMatchObject({ state: 'sent' })
    // the one that was queued has come due as well
    expect(other.relay.mails).toHaveLength(2)
  })

  it('queues all dead mails again', async () => {
    await oneOfEach()
    await send('another')
    await expect.poll(() => json('stats')).toMatchObject({ dead: 2 })
    expect(await outbox('requeue', '--all-dead')).toMatchObject({
      code: 0,
      out: '2 mails are queued again.\n',
    })
    expect(await json('stats')).toMatchObject({ queued: 3, dead: 0 })
  })

  it('gives up a mail that waits, and tells its app and the operator’s page', async () => {
    const { queued, dead, sent } = await oneOfEach()
    const env = {
      ...base,
      ...store.env,
      ADMIN_TOKEN: '0a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d',
      JWT_MAILER_WEBHOOK_DEFAULT: 'https://app.example.com/mail-events',
      JWT_MAILER_WEBHOOK_SECRET_DEFAULT: `whsec_${randomBytes(32).toString('base64')}`,
    }
    expect(await run(env, 'give-up', queued)).toEqual({
      code: 0,
      out: '1 mail is given up. It is among the dead.\n',
      err: '',
    })
    expect(await json('show', queued)).toMatchObject({ state: 'dead', detail: 'given_up' })
    expect(await store.rows('select mail, type, detail from outbox_event')).toEqual([
      { mail: queued, type: 'mail.dead', detail: 'given_up' },
    ])
    expect(await store.rows(`select name from outbox_hour where name = 'dead' and n = 1`)).toHaveLength(1)
    for (const id of [queued, dead, sent])
      expect(await outbox('give-up', id)).toEqual({
        code: 1,
        out: '',
        err: `jwt-mailer: there is no queued mail ${id}\n`,
      })
  })

  it('deletes mails that are kept no longer', async () => {
    await oneOfEach()
    await store.rows(`update outbox_mail set due = 1 where state = 'sent'`)
    expect(await json('purge')).toEqual({ purged: 1 })
    expect(await json('stats')).toMatchObject({ sent: 0, queued: 1, dead: 1 })
  })

  it('ends with 1 when there is no such mail', async () => {
    const { queued } = await oneOfEach()
    expect(await outbox('show', 'none')).toEqual({
      code: 1,
      out: '',
      err: 'jwt-mailer: there is no mail none\n',
    })
    expect(await outbox('requeue', queued, '--json')).toEqual({
      code: 1,
      out: '',
      err: `jwt-mailer: there is no dead mail ${queued}\n`,
    })
  })
})

describe('an outbox that cannot be reached', () => {
  it.each([
    ['no file', { DATA_DIR: '/nowhere' }, /there is no outbox \/nowhere\/outbox\.sqlite/],
    ['no server', { DATABASE_URL: 'postgres://nobody@127.0.0.1:9/none' }, /cannot be reached: ECONNREFUSED/],
    [
      'no address',
      { DATABASE_URL: 'postgres://user:pa#ss@127.0.0.1:9/none' },
      /attention:\nDATABASE_URL: must look like (?!.*pa#ss)/,
    ],
    ['no configuration', { JWT_MAILER_SECRET: ' ' }, /JWT_MAILER_SECRET: is empty/],
  ])('is told in a sentence: %s', async (_title, env, sentence) => {
    const { code, out, err } = await run({ ...base, ...env }, 'stats')
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toMatch(/^jwt-mailer: /)
    expect(err).toMatch(sentence)
    expect(err).not.toMatch(/^\s+at /m)
  })
})

describe('a wrong word', () => {
  it.each([
    [['requeue'], /either an ID or --all-dead/],
    [['requeue', 'x', '--all-dead'], /either an ID or --all-dead/],
    [['list', '--state', 'lost'], /Allowed choices are sending, queued, sent, dead/],
    [['list', '--limit', '0'], /whole number from 1 to 1000/],
    [['show'], /missing required argument 'id'/],
    [['give-up'], /missing required argument 'id'/],
    [['sent'], /unknown command 'sent'/],
  ])('is not taken for another: %j', async (words, sentence) => {
    const { code, err } = await run(base, ...words)
    expect(code).toBe(2)
    expect(err).toMatch(sentence)
  })
})
