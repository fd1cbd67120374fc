import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { Agent, get, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { freePort } from './support/port.ts'
import { scriptedRelay, type Script } from './support/relay.ts'
import { startReplica } from './support/replica.ts'
import { startService } from './support/service.ts'
import { sampleClaims, secret, signToken } from './support/tokens.ts'
import { titled } from './support/missing.ts'

const project = resolve(import.meta.dirname, '..')
const start = resolve(project, 'src/start.js')
const plainEnv = { PATH: process.env['PATH'] }

async function serviceBefore(
  script: Script,
  nodeArgs: readonly string[] = [],
  env: Record<string, string> = {},
) {
  const relay = await scriptedRelay(script)
  onTestFinished(() => relay.close())
  const service = await startService({
    mode: 'production',
    program: [...nodeArgs, start],
    env: {
      JWT_MAILER_SECRET: secret,
      MAIL_FROM: 'noreply@example.com',
      SMTP_URL: `smtp://user:password@127.0.0.1:${relay.port}?tls=off`,
      ...env,
    },
  })
  onTestFinished(async () => void (await service.stop()))
  return { relay, service }
}

describe('the first start', () => {
  it('says where it listens, and the curl in the second line puts a mail into the inbox of the third', async () => {
    const service = await startService({ mode: 'development' })
    onTestFinished(async () => void (await service.stop()))
    await expect.poll(service.output).toContain('/preview)')
    const lines = service
      .output()
      .trim()
      .split('\n')
      .filter((line) => !line.startsWith('{'))
    expect(lines).toHaveLength(4)
    expect(lines[0]).toMatch(/^jwt-mailer listens on http:/)
    const url = /curl (\S+)$/.exec(lines[1] ?? '')?.[1] ?? ''
    expect(await (await fetch(url)).json()).toMatchObject({ error: 0, code: 'sent' })
    const inbox = /(http\S+inbox)/.exec(lines[2] ?? '')?.[1] ?? ''
    const [mail] = (await (await fetch(`${inbox}/messages`)).json()) as { id: string }[]
    const read = (await (await fetch(`${inbox}/messages/${mail?.id}`)).json()) as { text: string }
    expect(read.text).toContain('7hK2pQ')
  })

  it('names the file of the outbox, which production then refuses', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'jwt-mailer-data-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const service = await startService({ mode: 'development', env: { DATA_DIR: folder } })
    await expect.poll(service.output).toContain(join(folder, 'outbox.sqlite'))
    await service.stop()
    const env = { ...plainEnv, NODE_ENV: 'production', DATA_DIR: folder, JWT_MAILER_SECRET: secret }
    const relay = { SMTP_URL: 'smtp://user:password@127.0.0.1:9?tls=off', MAIL_FROM: 'noreply@example.com' }
    const { status, stderr } = spawnSync(process.execPath, [start], {
      env: { ...env, ...relay },
      encoding: 'utf8',
    })
    expect(stderr).toMatch(
      /^Cannot start: the outbox \S+outbox\.sqlite \(DATA_DIR\) holds mails of a development service/,
    )
    expect(status).toBe(1)
  })
})

it('loads neither the fetch of Node nor the schema compilers of Fastify, which take memory and nobody calls', async () => {
  const tell = `process.once('exit', () => console.log([
    ...process.moduleLoadList, ...Object.keys(process.getBuiltinModule('node:module')._cache)].join('\\n')))`
  const relay = await scriptedRelay()
  onTestFinished(() => relay.close())
  const service = await startService({
    mode: 'production',
    program: ['--import', `data:text/javascript,${encodeURIComponent(tell)}`, start],
    env: {
      JWT_MAILER_SECRET: secret,
      MAIL_FROM: 'noreply@example.com',
      SMTP_URL: `smtp://user:password@127.0.0.1:${relay.port}?tls=off`,
    },
  })
  expect(await service.stop()).toBe(0)
  expect(service.output()).toMatch(/node_modules\/fastify\//)
  expect(service.output()).not.toMatch(
    /internal\/deps\/undici|node_modules\/(ajv|fast-json-stringify\/index)/,
  )
})

describe('a start that cannot work ends at once with a sentence', () => {
  const run = (env: NodeJS.ProcessEnv) =>
    spawnSync(process.execPath, [start], { env: { ...plainEnv, ...env }, encoding: 'utf8', timeout: 60_000 })

  it('in production without secret and relay', () => {
    const { status, stderr } = run({ NODE_ENV: 'production' })
    expect(status).toBe(1)
    expect(stderr).toMatch(/JWT_MAILER_SECRET: is missing/)
    expect(stderr).toMatch(/SMTP_URL: no relay is configured/)
    expect(stderr).not.toMatch(/^\s+at /m)
  })

  it('in production with the secret of an app that does not exist', () => {
    const { status, stderr } = run({
      NODE_ENV: 'production',
      PORT: '0',
      HOST: '127.0.0.1',
      DATA_DIR: mkdtempSync(join(tmpdir(), 'jwt-mailer-strange-')),
      JWT_MAILER_SECRET: secret,
      JWT_MAILER_SECRET_SHOPP: secret,
      MAIL_FROM: 'noreply@example.com',
      SMTP_URL: 'smtp://user:password@127.0.0.1:9?tls=off',
    })
    expect(status).toBe(1)
    expect(stderr).toContain(
      'JWT_MAILER_SECRET_SHOPP: belongs to no app of the mails, so it opens nothing. There are: JWT_MAILER_SECRET_DEFAULT.',
    )
  })

  it('with a folder of mails that is not there', () => {
    const { status, stderr } = run({ MAILS_DIR: '/nowhere/mails', PORT: '0' })
    expect(status).toBe(1)
    expect(stderr).toContain('MAILS_DIR: names a folder that does not exist.')
    expect(stderr).not.toMatch(/^\s+at /m)
  })

  it('on a port that is taken', async () => {
    const other = await scriptedRelay()
    onTestFinished(() => other.close())
    const { status, stderr } = run({ HOST: '127.0.0.1', PORT: String(other.port) })
    expect(status).toBe(1)
    expect(stderr).toBe(`Cannot start: port ${other.port} is taken. Set PORT to a free one.\n`)
  })

  it('on an outbox of a newer version', () => {
    const dir = mkdtempSync(join(tmpdir(), 'jwt-mailer-newer-'))
    onTestFinished(() => rmSync(dir, { recursive: true }))
    const database = new DatabaseSync(join(dir, 'outbox.sqlite'))
    database.exec(
      'create table outbox_schema (version integer not null); insert into outbox_schema values (99)',
    )
    database.close()
    const { status, stderr } = run({ DATA_DIR: dir, PORT: '0' })
    expect(status).toBe(1)
    expect(stderr).toMatch(
      /^The outbox was set up by a newer jwt-mailer \(schema 99; .*Start that version again.*\n$/,
    )
  })

  const old = ['/usr/bin/node', '/usr/local/bin/node'].find(
    (path) =>
      existsSync(path) &&
      Number(spawnSync(path, ['-p', 'parseInt(process.versions.node)'], { encoding: 'utf8' }).stdout) < 24,
  )
  it.skipIf(!old)(titled('on a Node that is too old', old ? undefined : 'no Node older than 24'), () => {
    const { status, stderr } = spawnSync(old ?? '', [start], { env: plainEnv, encoding: 'utf8' })
    expect(status).toBe(1)
    expect(stderr).toMatch(
      /^jwt-mailer needs Node 24, this is \d+\.\d+\.\d+\. Start it with "npm start", which uses the Node that npm ci has installed\.\n$/,
    )
    const bare = mkdtempSync(join(tmpdir(), 'jwt-mailer-bare-'))
    onTestFinished(() => rmSync(bare, { recursive: true }))
    for (const file of ['package.json', 'src/start.js', 'src/own-files.js'])
      cpSync(join(project, file), join(bare, file))
    const production = spawnSync(old ?? '', [join(bare, 'src/start.js')], {
      env: plainEnv,
      encoding: 'utf8',
    })
    expect(production.status).toBe(1)
    expect(production.stderr).toMatch(/Install Node 24 .*, or run "npm ci --include=dev && npm start"/)
  })
})

describe('SIGTERM', () => {
  it('lets running requests end with their answer, takes no new ones, stores what was counted, and exits 0', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'jwt-mailer-data-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const { relay, service } = await serviceBefore(
      { dot: () => new Promise((done) => setTimeout(done, 1_500, '250 ok')) },
      [],
      { DATA_DIR: folder, ADMIN_TOKEN: '0123456789abcdef0123456789abcdef' },
    )
    const running = fetch(`${service.url}/emailservice/${signToken()}`)
    await expect.poll(() => relay.commands.includes('DATA')).toBe(true)
    const stopped = service.stop()
    await expect
      .poll(() =>
        fetch(`${service.url}/health/live`).then(
          ({ status }) => status,
          () => 'refused',
        ),
      )
      .not.toBe(200)
    expect(await (await running).json()).toMatchObject({ error: 0, code: 'sent' })
    expect(await stopped).toBe(0)
    expect(relay.mails).toHaveLength(1)
    expect(relay.commands.at(-1)).toBe('QUIT')
    const outbox = new DatabaseSync(join(folder, 'outbox.sqlite'))
    const counted = outbox.prepare('select name, n from outbox_hour order by name').all()
    outbox.close()
    expect(counted).toEqual([
      { name: 'accepted', n: 1 },
      { name: 'sent', n: 1 },
    ])
  })

  it('resets no connection of callers that leave when readiness is red or a connection is not kept', async () => {
    const { relay, service } = await serviceBefore({}, [], { SHUTDOWN_DELAY: '5s' })
    const { port } = service
    const outcomes: string[] = []
    let isReady = true
    const ask = (path: string, agent?: Agent) =>
      new Promise<IncomingMessage>((answered, failed) => {
        const request = get({ port, host: '127.0.0.1', path, ...(agent && { agent }) }, (response) => {
          response.resume().once('end', () => answered(response))
        })
        request.once('error', failed)
      })
    async function call(agent?: Agent): Promise<void> {
      for (let leaves = false; isReady && !leaves; ) {
        const answer = await ask('/health/live', agent).catch((error: Error) => error)
        outcomes.push(answer instanceof Error ? String(answer) : `${answer.statusCode}`)
        leaves = agent !== undefined && !(answer instanceof Error) && answer.headers.connection === 'close'
      }
    }
    const calls = Promise.all([
      ...Array.from({ length: 30 }, () => call()),
      ...Array.from({ length: 20 }, () => call(new Agent({ keepAlive: true }))),
    ])
    await expect.poll(() => outcomes.length).toBeGreaterThan(1_000)
    const stopped = service.stop()
    await expect.poll(async () => (await ask('/health/ready')).statusCode).toBe(503)
    isReady = false
    // the others may still come, and are served
    const mail = await fetch(`${service.url}/emailservice/${signToken()}`)
    expect(await mail.json()).toMatchObject({ error: 0, code: 'sent' })
    await calls
    expect(new Set(outcomes)).toEqual(new Set(['200']))
    expect(await stopped).toBe(0)
    expect(relay.mails).toHaveLength(1)
  })

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'and %s, when it comes twice, cuts nothing that the first lets end',
    async (signal) => {
      const told = Promise.withResolvers<string>()
      const { relay, service } = await serviceBefore({ dot: () => told.promise })
      const running = fetch(`${service.url}/emailservice/${signToken()}`)
      await expect.poll(() => relay.commands.includes('DATA')).toBe(true)
      const ended = once(service.child, 'exit')
      service.child.kill(signal)
      await expect.poll(service.output).toContain(`"signal":"${signal}"`)
      service.child.kill(signal)
      setTimeout(told.resolve, 500, '250 ok')
      expect(await (await running).json()).toMatchObject({ error: 0, code: 'sent' })
      expect((await ended)[0]).toBe(0)
    },
  )

  it('ends at once when a person presses Ctrl-C again', async () => {
    const { relay, service } = await serviceBefore({ dot: () => 'hang' })
    fetch(`${service.url}/emailservice/${signToken()}`).catch(() => undefined)
    await expect.poll(() => relay.commands.includes('DATA')).toBe(true)
    const ended = once(service.child, 'exit')
    service.child.kill('SIGINT')
    await expect.poll(service.output).toContain('"signal":"SIGINT"')
    await sleep(1_100)
    service.child.kill('SIGINT')
    expect((await ended)[0]).toBe(1)
    // which is what a shutdown says that takes too long
    expect(service.output()).not.toContain('stopping failed')
  })

  it('waits no longer than the relay may take, also when it never answers', async () => {
    const relay = await scriptedRelay({ dot: () => 'hang' })
    onTestFinished(() => relay.close())
    const service = await startReplica({ store: { env: {} }, relay, speed: 10 })
    onTestFinished(() => service.kill())
    const running = fetch(`${service.url}/emailservice/${signToken()}`)
    await expect.poll(() => relay.commands.includes('DATA')).toBe(true)
    expect(await service.stop()).toBe(0)
    expect(await (await running).json()).toMatchObject({ error: 0, code: 'queued' })
  })

  it('reaches the service also through npm start', async () => {
    const port = await freePort()
    const child = spawn('npm', ['start', '--silent'], {
      cwd: project,
      env: { ...plainEnv, HOME: process.env['HOME'], PORT: String(port), HOST: '127.0.0.1' },
    })
    const live = () =>
      fetch(`http://127.0.0.1:${port}/health/live`).then(
        ({ ok }) => ok,
        () => false,
      )
    await expect.poll(live).toBe(true)
    child.kill('SIGTERM')
    await once(child, 'exit')
    await expect.poll(live).toBe(false)
  })
})

describe('a crash', () => {
  it('leaves its place in the log, but nothing of what it held', async () => {
    const token = signToken(sampleClaims({ user_name: 'NAMEMARKER' }))
    const crash = `process.once('SIGUSR2', () => {
      throw Object.assign(new Error(process.env.JWT_MAILER_SECRET), { input: process.env.SMTP_URL })
    })`
    const { service } = await serviceBefore({}, [
      '--import',
      `data:text/javascript,${encodeURIComponent(crash)}`,
    ])
    await fetch(`${service.url}/emailservice/${token}`)
    const ended = once(service.child, 'exit')
    service.child.kill('SIGUSR2')
    expect((await ended)[0]).toBe(1)
    expect(service.output()).toContain('"msg":"mail sent"')
    expect(service.output()).toMatch(/"type":"Error","frames":\["at .*"msg":"crash"/)
    for (const leak of [token, 'NAMEMARKER', 'ada@', secret, 'password'])
      expect(service.output()).not.toContain(leak)
  })
})
