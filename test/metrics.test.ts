import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { parse } from 'yaml'
import { readConfig } from '../src/config/config.ts'
import type { Engine } from '../src/outbox/store/engine.ts'
import { sqliteEngine } from '../src/outbox/store/sqlite.ts'
import { testApp, type TestApp } from './support/app.ts'
import { sampleClaims, secret, signToken } from './support/tokens.ts'

const adminToken = 'an admin token nobody guesses'
const file = (name: string) =>
  readFileSync(new URL(`../examples/observability/${name}`, import.meta.url), 'utf8')

interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

async function scrape({ app }: TestApp): Promise<Sample[]> {
  const answer = await app.inject('/metrics')
  expect(answer.headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/)
  return answer.body
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name = '', labels = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
      const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [key, text])
      return { name, labels: Object.fromEntries(pairs), value: Number(value) }
    })
}

function valueOf(samples: readonly Sample[], name: string, labels: Record<string, string> = {}) {
  const matches = (sample: Sample) =>
    sample.name === `jwt_mailer_${name}` &&
    Object.entries(labels).every(([key, value]) => sample.labels[key] === value)
  return samples.find(matches)?.value
}

/** A service that has seen a mail leave, a wrong token and a path that is none. */
async function busyApp(options: Parameters<typeof testApp>[0] = {}): Promise<TestApp> {
  const service = await testApp({ metrics: {}, ...options })
  await service.app.inject(`/emailservice/${signToken()}`)
  await service.app.inject(`/emailservice/${signToken(sampleClaims(), `${secret}, but another`)}`)
  await service.app.inject('/nowhere')
  return service
}

describe('the metrics', () => {
  it('count answers by route, status and code', async () => {
    const samples = await scrape(await busyApp())
    const of = (route: string, status: string, code: string) =>
      valueOf(samples, 'requests_total', { route, status, code })
    expect(of('/emailservice/:token', '200', 'sent')).toBe(1)
    expect(of('/emailservice/:token', '401', 'token_signature')).toBe(1)
    expect(of('none', '404', 'not_found')).toBe(1)
    expect(valueOf(samples, 'tokens_rejected_total', { code: 'token_signature' })).toBe(1)
  })

  it('count what never finds a route, too long or not even a URL', async () => {
    const service = await testApp({ metrics: {} })
    await service.app.inject(`/emailservice/${'a'.repeat(13_000)}`)
    await service.app.inject('/emailservice/%zz')
    await service.app.inject({ method: 'DELETE', url: '/emailservice/x' })
    const samples = await scrape(service)
    const of = (labels: Record<string, string>) => valueOf(samples, 'requests_total', labels)
    expect(of({ route: 'none', status: '414', code: 'too_large' })).toBe(1)
    expect(of({ route: 'none', status: '400', code: 'bad_request' })).toBe(1)
    expect(of({ route: '/emailservice/:token', status: '405', code: 'method_not_allowed' })).toBe(1)
  })

  it('tell of relays: tries, how long they took, breakers and connections', async () => {
    const samples = await scrape(await busyApp())
    const labels = { app: 'default', kind: 'confirmation', relay: 'test', outcome: 'sent' }
    expect(valueOf(samples, 'send_attempts_total', labels)).toBe(1)
    expect(valueOf(samples, 'relay_duration_seconds_count', { relay: 'test' })).toBe(1)
    expect(valueOf(samples, 'breaker_state', { relay: 'test', state: 'closed' })).toBe(1)
    expect(valueOf(samples, 'breaker_state', { relay: 'test', state: 'open' })).toBe(0)
    expect(valueOf(samples, 'pool_connections', { relay: 'test', state: 'idle' })).toBe(1)
    expect(valueOf(samples, 'pool_waiting_mails', { relay: 'test' })).toBe(0)
  })

  it('time each stage of what succeeded', async () => {
    const samples = await scrape(await busyApp())
    for (const stage of ['verify', 'render', 'store']) {
      expect(valueOf(samples, `${stage}_duration_seconds_count`)).toBe(1)
      expect(valueOf(samples, `${stage}_duration_seconds_bucket`, { le: '+Inf' })).toBe(1)
      expect(valueOf(samples, `${stage}_duration_seconds_sum`)).toBeGreaterThan(0)
    }
  })

  it('show the depth of the outbox and how long its oldest mail waits', async () => {
    const service = await busyApp({ script: { RCPT: () => '451 later' } })
    await new Promise((resolve) => setTimeout(resolve, 50))
    const samples = await scrape(service)
    expect(valueOf(samples, 'outbox_mails', { state: 'queued' })).toBe(1)
    expect(valueOf(samples, 'outbox_mails', { state: 'dead' })).toBe(0)
    const age = valueOf(samples, 'outbox_oldest_unsent_age_seconds')
    expect(age).toBeGreaterThan(0.04)
    expect(age).toBeLessThan(30)
  })

  it('say that the store is down, and then nothing of what is in it', async () => {
    const service = await testApp({
      metrics: {},
      engine: sqliteEngine({ path: '/dev/null/outbox.sqlite' }),
    })
    const samples = await scrape(service)
    expect(valueOf(samples, 'store_up')).toBe(0)
    expect(samples.filter(({ name }) => name.startsWith('jwt_mailer_outbox_'))).toEqual([])
    expect(valueOf(await scrape(await testApp({ metrics: {} })), 'store_up')).toBe(1)
  })

  it('do not wait for a store that is silent, nor ask it twice at once', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'jwt-mailer-metrics-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const engine = sqliteEngine({ path: join(folder, 'outbox.sqlite') })
    const gate = Promise.withResolvers<void>()
    let asked = 0
    const silent: Engine = {
      ...engine,
      async run(operations) {
        asked += operations.filter(({ op }) => op === 'stats').length
        await gate.promise
        return engine.run(operations)
      },
    }
    const service = await testApp({ metrics: {}, engine: silent })
    const scrapes = await Promise.all([scrape(service), scrape(service)])
    for (const samples of scrapes)
      expect(samples.filter(({ name }) => name.startsWith('jwt_mailer_outbox_'))).toEqual([])
    gate.resolve()
    expect(asked).toBe(1)
    await expect.poll(async () => valueOf(await scrape(service), 'outbox_mails', { state: 'dead' })).toBe(0)
  })

  it('tell how late the event loop was', async () => {
    const service = await testApp({ metrics: {} })
    await scrape(service)
    await new Promise((resolve) => setTimeout(resolve, 60))
    const until = performance.now() + 150
    while (performance.now() < until);
    await new Promise((resolve) => setTimeout(resolve, 60))
    const worst = valueOf(await scrape(service), 'event_loop_lag_seconds', { quantile: '1' })
    expect(worst).toBeGreaterThan(0.1)
  })

  it('never hold an address, a token or a word of a caller', async () => {
    const service = await testApp({ metrics: {} })
    const hostile = ['ada@example.com', 'x" 1\njwt_mailer_evil 1', '7hK2pQ', 'victim']
    for (const word of hostile) {
      const path = encodeURIComponent(word)
      await service.app.inject(`/emailservice/${path}`)
      await service.app.inject(`/emailservice/${path}/${signToken()}`)
      await service.app.inject(`/emailservice-${path}/${signToken()}`)
      await service.app.inject(`/emailservice-${path}/${path}/${path}`)
      await service.app.inject(`/${path}`)
      await service.app.inject({ method: 'POST', url: `/emailservice-${path}`, payload: { token: word } })
      await service.app.inject(`/emailservice/${signToken(sampleClaims({ user_email: word, locale: word }))}`)
    }
    await service.app.inject(`/emailservice/${signToken()}`)
    const samples = await scrape(service)
    expect(valueOf(samples, 'send_attempts_total')).toBeGreaterThan(0)
    const values = samples.flatMap(({ labels }) => Object.values(labels))
    for (const value of values) {
      expect(value).not.toMatch(/@|\beyJ|\s/)
      for (const word of [...hostile, ...hostile.map(encodeURIComponent)]) expect(value).not.toContain(word)
    }
    const routes = new Set(samples.map(({ labels }) => labels['route']).filter(Boolean))
    for (const route of routes) expect(route).toMatch(/^none$|^\/emailservice(-:app)?(\/:kind)?(\/:token)?$/)
  })

  it('are not there unless they are asked for', async () => {
    const { app } = await testApp()
    expect((await app.inject('/metrics')).statusCode).toBe(404)
  })

  it('need the admin token where there is one, and no refusal counts as a token of an app', async () => {
    const { app } = await testApp({ metrics: { adminToken } })
    const as = (authorization?: string) =>
      app.inject({ url: '/metrics', headers: authorization === undefined ? {} : { authorization } })
    for (const wrong of [
      undefined,
      'Bearer ',
      `Bearer ${adminToken}!`,
      adminToken,
      `Bearer ${signToken()}`,
    ]) {
      const refused = await as(wrong)
      expect(refused.statusCode).toBe(401)
      expect(refused.headers['www-authenticate']).toBe('Bearer')
      expect(refused.json()).toMatchObject({ hint: expect.stringContaining('ADMIN_TOKEN') })
      expect(refused.body).not.toContain('jwt_mailer_')
    }
    const { statusCode, body } = await as(`Bearer ${adminToken}`)
    expect(statusCode).toBe(200)
    expect(body).toContain('jwt_mailer_tokens_rejected_total{code="token_signature"} 0')
  })

  it('are off in production unless METRICS says on, and on elsewhere unless it says off', () => {
    const production = {
      NODE_ENV: 'production',
      JWT_MAILER_SECRET: secret,
      SMTP_URL: 'smtp://user:password@smtp.example.com:587',
      MAIL_FROM: 'noreply@example.com',
    }
    const metricsIn = (env: NodeJS.ProcessEnv) => readConfig(env).metrics
    expect(metricsIn(production)).toBe(false)
    expect(metricsIn({ ...production, METRICS: 'on' })).toBe(true)
    expect(metricsIn({ JWT_MAILER_SECRET: secret })).toBe(true)
    expect(metricsIn({ JWT_MAILER_SECRET: secret, METRICS: 'off' })).toBe(false)
  })
})

interface Rule {
  readonly alert: string
  readonly expr: string
}
const { groups } = parse(file('alerts.yml')) as { groups: { rules: Rule[] }[] }
const rules = groups.flatMap((group) => group.rules)
const { panels } = JSON.parse(file('dashboard.json')) as {
  panels: { title: string; targets: { expr: string; legendFormat: string }[] }[]
}
const queries = [
  ...rules.map(({ alert, expr }) => ({ where: alert, expr })),
  ...panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ where: title, expr }))),
]
/** What Prometheus adds to every sample itself. */
const added = new Set(['job', 'instance'])

describe('the dashboard and the alerts', () => {
  it('are many enough to be worth a test', () => {
    expect(rules.length).toBeGreaterThanOrEqual(8)
    expect(panels.length).toBeGreaterThanOrEqual(10)
  })

  it('ask only for metrics, labels and values that a running service exposes', async () => {
    const samples = await scrape(await busyApp())
    const known = new Map<string, Set<string>>()
    for (const { name, labels } of samples)
      known.set(name, new Set([...(known.get(name) ?? []), ...Object.keys(labels)]))
    const missing: string[] = []
    for (const { where, expr } of queries) {
      const names = expr.match(/jwt_mailer_\w+/g) ?? []
      const own = new Set([...added, ...names.flatMap((name) => [...(known.get(name) ?? [])])])
      const unknown = [
        ...names.filter((name) => !known.has(name)),
        ...labelsIn(expr).filter((label) => !own.has(label)),
        ...selectionsIn(expr).filter((one) => valueOf(samples, one.name, one.labels) === undefined),
      ]
      missing.push(...unknown.map((what) => `${where}: ${JSON.stringify(what)}`))
      if (names.length === 0 && !expr.startsWith('up{')) missing.push(`${where}: no metric`)
    }
    expect(missing).toEqual([])
  })

  it('leave no metric unseen', async () => {
    const seen = new Set(queries.flatMap(({ expr }) => expr.match(/jwt_mailer_\w+/g) ?? []))
    const bare = (name: string) => name.replace(/_(?:bucket|sum|count)$/, '')
    const names = new Set((await scrape(await busyApp())).map(({ name }) => bare(name)))
    expect([...names].filter((name) => ![...seen].some((other) => bare(other) === name))).toEqual([])
  })

  it('are explained in both guides, alert by alert', () => {
    const operations = readFileSync(new URL('../docs/operations.md', import.meta.url), 'utf8')
    for (const text of [file('README.md'), operations]) {
      const explained = [...text.matchAll(/^\| `(JwtMailer\w+)` \|/gm)].map(([, name]) => name)
      expect(explained).toEqual(rules.map(({ alert }) => alert))
    }
  })

  it('are what the scrape configuration loads, under the job it names', () => {
    const config = parse(file('prometheus.yml')) as {
      rule_files: string[]
      scrape_configs: { job_name: string; metrics_path: string }[]
    }
    expect(config.rule_files).toEqual(['alerts.yml'])
    expect(config.scrape_configs).toMatchObject([{ job_name: 'jwt-mailer', metrics_path: '/metrics' }])
    for (const { expr } of queries)
      for (const [, job] of expr.matchAll(/job="(.*?)"/g)) expect(job).toBe('jwt-mailer')
  })
})

/** The names in `by (…)` and in selectors. */
function labelsIn(expr: string): string[] {
  const grouped = [...expr.matchAll(/\bby \((.*?)\)/g)].flatMap(([, list = '']) => list.split(/,\s*/))
  const selected = [...expr.matchAll(/\{(.*?)\}/g)].flatMap(([, selector = '']) =>
    [...selector.matchAll(/(\w+)(?:=~|!~|!=|=)"/g)].map(([, label = '']) => label),
  )
  return [...grouped, ...selected]
}

/** Each `metric{label="value"}`, without what Prometheus adds. */
function selectionsIn(expr: string): { name: string; labels: Record<string, string> }[] {
  return [...expr.matchAll(/jwt_mailer_(\w+)\{(.*?)\}/g)].flatMap(([, name = '', selector = '']) =>
    [...selector.matchAll(/(\w+)="(.*?)"/g)]
      .filter(([, label = '']) => !added.has(label))
      .map(([, label = '', value = '']) => ({ name, labels: { [label]: value } })),
  )
}
