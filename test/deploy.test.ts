/**
 * What a platform reads before the program runs: Procfile and app.json for Heroku, Dockerfile and .dockerignore for
 * containers. There is no Docker engine in a test, so the image's content is laid out by the same rules and started.
 */
import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { chmod, chown, cp, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type Service, startService } from './support/service.ts'

const run = promisify(execFile)
const project = resolve(import.meta.dirname, '..')
const read = (name: string) => readFileSync(join(project, name), 'utf8')
const manifest = z.object({ engines: z.object({ node: z.string() }) }).parse(JSON.parse(read('package.json')))
const webCommand = /^web: (.+)$/m.exec(read('Procfile'))?.[1] ?? ''

test('every way to start the service bounds the heap by the same flags', () => {
  const starts = ['package.json', 'Procfile', 'Dockerfile', 'src/commands/serve.ts'].map((name) =>
    read(name).match(/--max-[a-z-]+=\d+/g),
  )
  expect(starts[0]).toHaveLength(2)
  for (const flags of starts) expect(flags).toEqual(starts[0])
})

describe('Heroku', () => {
  const appJson = JSON.parse(read('app.json'))

  test('app.json has the shape that Heroku publishes for it', () => {
    expect(() => appJsonSchema.parse(appJson)).not.toThrow()
  })

  test.each([
    ['a key of the top level that Heroku does not know', { volumes: [] }],
    ['a variable in lower case', { env: { secret: { required: true } } }],
    ['a variable with a field that Heroku does not know', { env: { SECRET: { default: 'x' } } }],
    ['another generator than secret', { env: { SECRET: { generator: 'uuid' } } }],
    ['a process type without a quantity', { formation: { web: { size: 'basic' } } }],
    ['an add-on without a plan', { addons: [{ as: 'MAILERTOGO' }] }],
    ['a stack that does not exist', { stack: 'cedar' }],
  ])('that shape refuses %s', (_what, wrong) => {
    expect(appJsonSchema.safeParse({ ...appJson, ...wrong }).success).toBe(false)
  })

  test('the operator pastes the secret the callers have; it is neither made up nor optional', () => {
    expect(appJson.env.JWT_MAILER_SECRET).toEqual({ description: expect.any(String), required: true })
  })

  test('every variable says what it is for, and only the secret is required', () => {
    const entries = Object.entries(appJsonSchema.parse(appJson).env)
    expect(entries.filter(([, { required }]) => required).map(([name]) => name)).toEqual([
      'JWT_MAILER_SECRET',
    ])
    expect(entries.filter(([, { description = '' }]) => description.length < 20)).toEqual([])
  })

  test('MailerToGo comes along under the name its variables start with, and they are left to it', () => {
    expect(appJson.addons).toContainEqual({ plan: 'mailertogo', as: 'MAILERTOGO' })
    expect(Object.keys(appJson.env).filter((name) => name.startsWith('MAILERTOGO_'))).toEqual([])
  })

  test('the process types of app.json are those of the Procfile, and the page shown after a deploy exists', async () => {
    const types = read('Procfile')
      .trim()
      .split('\n')
      .map((line) => line.split(':')[0])
    expect(Object.keys(appJson.formation)).toEqual(types)
    expect(appJson.success_url).toBe('/health/ready')
  })

  test('the web process is Node itself, without npm or a shell between it and SIGTERM', () => {
    const [, program = ''] = /^node (?:--[\w-]+=\d+ )*([\w./-]+)$/.exec(webCommand) ?? []
    expect(existsSync(join(project, program))).toBe(true)
    expect(program).toBe('src/start.js')
    // the highest of them is the one that Heroku takes; the client is content with the others
    expect(manifest.engines.node).toMatch(/^(?:\d+\.x \|\| )*24\.x$/)
  })
})

describe('the Dockerfile', () => {
  const instructions = dockerInstructions(read('Dockerfile'))
  const last = instructions.findLastIndex(({ name }) => name === 'FROM')
  const image = instructions.slice(last)
  const valueOf = (name: string) => image.findLast((instruction) => instruction.name === name)?.value ?? ''

  test('takes the Node that package.json asks for onto the slim Debian it was made for', () => {
    const [, major] = /(\d+)\.x$/.exec(manifest.engines.node)!
    const bases = instructions.filter(({ name }) => name === 'FROM').map(({ value }) => value.split(' ')[0])
    expect(bases).toEqual([`node:${major}-bookworm-slim`, 'debian:bookworm-slim'])
    const copies = image.filter(({ name }) => name === 'COPY').map(({ value }) => value)
    expect(copies).toContain('--from=dependencies /usr/local/bin/node /usr/local/bin/node')
  })

  test('installs by the lock file and without development packages', () => {
    const installs = instructions.filter(({ value }) => /\bnpm\b/.test(value))
    expect(installs).toHaveLength(1)
    expect(installs[0]?.value).toMatch(/^npm ci .*--omit=dev\b/)
  })

  test('runs as a user who is not root, and who owns nothing but the data folder', () => {
    expect(valueOf('USER')).toBe('node')
    const user = image.findIndex(({ name }) => name === 'USER')
    expect(image.slice(user).filter(({ name }) => ['COPY', 'ADD', 'RUN'].includes(name))).toEqual([])
    expect(image.filter(({ value }) => /--chown|chown /.test(value))).toEqual([])
    expect(valueOf('ENV')).toContain(`DATA_DIR=${valueOf('VOLUME')}`)
    expect(valueOf('RUN')).toMatch(new RegExp(`&& install -d -o node .*${valueOf('VOLUME')}$`))
  })

  test('starts the same program as the Procfile, as process 1', () => {
    expect(JSON.parse(valueOf('CMD')).join(' ')).toBe(webCommand)
    const { scripts } = JSON.parse(read('package.json')) as { scripts: { start: string } }
    expect(scripts.start).toBe(`exec ${webCommand}`)
    expect(valueOf('ENTRYPOINT')).toBe('')
    expect(valueOf('ENV')).toContain('NODE_ENV=production')
  })

  test('asks for its health by a program it holds', () => {
    const command = /CMD (\[.*\])$/.exec(valueOf('HEALTHCHECK'))?.[1] ?? '[]'
    expect(JSON.parse(command)).toEqual(['node', 'src/healthcheck.ts'])
    expect(existsSync(join(project, 'src/healthcheck.ts'))).toBe(true)
  })

  test('needs no heredoc, so that any builder reads it', () => {
    expect(read('Dockerfile')).not.toContain('<<')
  })
})

describe('the image, laid out by hand', () => {
  // Another user than the owner of the files, as in the image; only root can start one.
  const nobody = process.getuid?.() === 0 ? 65_534 : undefined
  let folder: string
  let node: string
  let dataDir: string
  let service: Service

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'jwt-mailer-image-'))
    await chmod(folder, 0o755)
    const app = join(folder, 'app')
    await copyContext(app)
    await copyProductionModules(app)
    await run('chmod', ['-R', 'u+rwX,go+rX,go-w', app])
    if (nobody === undefined) await run('chmod', ['-R', 'a-w', app])
    // The project may stand where no other user can reach it.
    node = join(folder, 'node')
    await cp(process.execPath, node)
    dataDir = join(folder, 'data')
    await mkdir(dataDir, { mode: 0o700 })
    if (nobody !== undefined) await chown(dataDir, nobody, nobody)
    service = await startService({
      mode: 'production',
      folder: app,
      node,
      uid: nobody,
      env: {
        JWT_MAILER_SECRET: 'a secret of thirty-two bytes and more',
        SMTP_URL: 'smtp://user:password@localhost:1',
        MAIL_FROM: 'noreply@sender.example',
        DATA_DIR: dataDir,
      },
    })
  })

  afterAll(async () => {
    await service?.stop()
    if (folder === undefined) return
    await run('chmod', ['-R', 'u+w', folder])
    await rm(folder, { recursive: true, force: true })
  })

  test('holds no development package and nothing but what runs the service', async () => {
    const modules = await readdir(join(folder, 'app/node_modules'))
    expect(modules).toContain('fastify')
    for (const name of ['vitest', 'typescript', 'node', 'pino-pretty']) expect(modules).not.toContain(name)
    const kept = new Set(['package.json', 'package-lock.json', 'node_modules', 'client', 'src', 'mails'])
    const left = await readdir(join(folder, 'app'))
    expect(left.filter((name) => !kept.has(name))).toEqual([])
  })

  test('serves from a folder it cannot write to', async () => {
    const writing = run(node, ['-e', `fs.writeFileSync('app/src/planted.ts', '')`], {
      cwd: folder,
      ...(nobody === undefined ? {} : { uid: nobody, gid: nobody }),
    })
    await expect(writing).rejects.toThrow(/EACCES/)
    const answer = await fetch(`${service.url}/emailservice/garbage`)
    expect(answer.status).toBe(401)
    expect(await answer.json()).toMatchObject({ error: 1, code: 'token_malformed' })
  })

  test('knows its own health: well while it serves, unwell when the service is gone', async () => {
    expect(await healthExitCode()).toBe(0)
    expect(await service.stop()).toBe(0)
    expect(await healthExitCode()).toBe(1)
  })

  async function healthExitCode(): Promise<number> {
    const asking = run(node, [join(folder, 'app/src/healthcheck.ts')], {
      env: { PORT: String(service.port), HOST: '0.0.0.0' },
    })
    return asking.then(
      () => 0,
      (error: { code: number }) => error.code,
    )
  }
})

const lockFile = z.object({
  packages: z.record(z.string(), z.object({ dev: z.boolean().optional(), link: z.boolean().optional() })),
})

/** `COPY . .` under a .dockerignore that leaves out all but what it names. */
async function copyContext(app: string): Promise<void> {
  const rules = read('.dockerignore')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
  expect(rules[0]).toBe('*')
  for (const rule of rules.slice(1)) {
    expect(rule).toMatch(/^![\w.-]+$/)
    const name = rule.slice(1)
    expect(readdirSync(project)).toContain(name)
    await cp(join(project, name), join(app, name), { recursive: true })
  }
}

/** What `npm ci --omit=dev` leaves, without asking a registry. */
async function copyProductionModules(app: string): Promise<void> {
  const lock = lockFile.parse(JSON.parse(read('package-lock.json')))
  const names = Object.entries(lock.packages)
    // a workspace is a link to a folder of ours, which the image has
    .filter(
      ([path, { dev, link }]) => !link && /^node_modules\/(?:@[^/]+\/)?[^/]+$/.test(path) && dev !== true,
    )
    .map(([path]) => path)
  for (const path of names) {
    // An optional package of another platform is in the lock file but not on the disk.
    if (existsSync(join(project, path))) await cp(join(project, path), join(app, path), { recursive: true })
  }
}

interface Instruction {
  readonly name: string
  readonly value: string
}

function dockerInstructions(text: string): Instruction[] {
  return text
    .replace(/\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    .map((line) => {
      const [name = '', ...rest] = line.trim().split(' ')
      return { name, value: rest.join(' ') }
    })
}

/** The rules of Heroku's published schema for app.json, as far as they concern a manifest like ours. */
const herokuEnv = z.record(
  z.string().regex(/^[A-Z][A-Z0-9_]*$/),
  z.strictObject({
    description: z.string().optional(),
    value: z.string().optional(),
    required: z.boolean().optional(),
    generator: z.literal('secret').optional(),
  }),
)
const herokuFormation = z.record(
  z.string().regex(/^[\w-]+$/),
  z.strictObject({
    quantity: z.int().min(0),
    size: z
      .enum([
        ...(['free', 'eco', 'hobby', 'basic', 'standard-1x', 'standard-2x', 'performance-m'] as const),
        ...([
          'performance-l',
          'private-s',
          'private-m',
          'private-l',
          'shield-s',
          'shield-m',
          'shield-l',
        ] as const),
      ])
      .optional(),
  }),
)
const herokuAddon = z.union([
  z.string(),
  z.strictObject({
    plan: z.string(),
    as: z.string().optional(),
    options: z.record(z.string(), z.unknown()).optional(),
  }),
])
const appJsonSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[a-zA-Z\-_.]+/)
    .max(300),
  description: z.string(),
  keywords: z.array(z.string()).optional(),
  website: z.url().optional(),
  repository: z.url().optional(),
  logo: z.url().optional(),
  success_url: z.string().optional(),
  scripts: z
    .strictObject({ postdeploy: z.string().optional(), 'pr-predestroy': z.string().optional() })
    .optional(),
  env: herokuEnv,
  formation: herokuFormation,
  addons: z.array(herokuAddon),
  buildpacks: z.array(z.strictObject({ url: z.string() })).optional(),
  stack: z.enum(['heroku-18', 'heroku-20', 'heroku-22', 'heroku-24']).optional(),
  image: z.string().optional(),
  environments: z.record(z.enum(['test', 'review', 'production']), z.unknown()).optional(),
})
