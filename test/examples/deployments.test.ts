/**
 * The facts in compose.yaml, examples/kubernetes and examples/server that the program decides: its variables, its port,
 * its paths and the time that it takes to stop. The configuration reads each environment as a start would.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { z } from 'zod'
import { readConfig } from '../../src/config/config.ts'
import { environmentSchema } from '../../src/config/environment.ts'

const project = resolve(import.meta.dirname, '../..')
const read = (name: string) => readFileSync(join(project, name), 'utf8')

/** The service needs 25 s at most. */
const leastStopS = 30
const random = () => randomBytes(32).toString('base64')
const strings = z.record(z.string(), z.string())
type Strings = z.infer<typeof strings>
const imageEnv = pairs(/^ENV (.*)$/m.exec(read('Dockerfile'))?.[1] ?? '')
const imageVolume = /^VOLUME (.*)$/m.exec(read('Dockerfile'))?.[1]
const unknownNames = (env: Strings) => Object.keys(env).filter((name) => !(name in environmentSchema.shape))

describe('compose.yaml', () => {
  const service = z.object({
    image: z.string().optional(),
    environment: strings.default({}),
    ports: z.array(z.string()).default([]),
    read_only: z.boolean().optional(),
    cap_drop: z.array(z.string()).optional(),
    stop_grace_period: z.string().optional(),
    network_mode: z.string().optional(),
    healthcheck: z.object({ test: z.array(z.string()) }).optional(),
    depends_on: z.unknown().optional(),
  })
  const { services } = z
    .object({ services: z.object({ mailer: service, postgres: service, catcher: service }) })
    .parse(parse(read('compose.yaml')))
  const { mailer, postgres, catcher } = services
  const env = defaultsIn(mailer.environment)

  test('names only variables that exist, and the service starts with them', () => {
    expect(unknownNames(env)).toEqual([])
    const config = readConfig({ ...imageEnv, ...env })
    expect(config.production).toBe(true)
    expect(config.relays.map(({ name }) => name)).toEqual(['smtp'])
  })

  test('the outbox is in its Postgres, and waits until that is there', () => {
    const { POSTGRES_USER: user, POSTGRES_PASSWORD: password, POSTGRES_DB: name } = postgres.environment
    expect(env['DATABASE_URL']).toBe(`postgres://${user}:${password}@postgres:5432/${name}`)
    expect(mailer.depends_on).toEqual({ postgres: { condition: 'service_healthy' } })
    expect(postgres.healthcheck?.test).toContain('pg_isready')
  })

  test('mails go to the catcher without TLS, which is allowed because it shares the network', () => {
    expect(env['SMTP_URL']).toBe('smtp://localhost:1025?tls=off')
    expect(catcher.network_mode).toBe('service:mailer')
  })

  test('only this machine reaches it, because everybody knows its secret', () => {
    expect(mailer.ports).toEqual([`127.0.0.1:8080:${imageEnv['PORT']}`, '127.0.0.1:8025:8025'])
    expect([...postgres.ports, ...catcher.ports]).toEqual([])
    expect(read('README.md')).toContain(`JWT_MAILER_SECRET=${env['JWT_MAILER_SECRET']}`)
  })

  test('runs on a read-only file system without capabilities, and has time to stop', () => {
    expect(mailer).toMatchObject({ read_only: true, cap_drop: ['ALL'] })
    expect(secondsIn(mailer.stop_grace_period)).toBeGreaterThanOrEqual(leastStopS)
  })
})

describe('examples/kubernetes', () => {
  const documents = ['jwt-mailer.yaml', 'secret.example.yaml'].flatMap((file) =>
    parseAllDocuments(read(`examples/kubernetes/${file}`)).map((document) => {
      for (const error of document.errors) throw error
      return z.looseObject({ kind: z.string() }).parse(document.toJS())
    }),
  )
  const ofKind = (kind: string) => documents.find((document) => document.kind === kind)
  const probe = z.object({ httpGet: z.object({ path: z.string(), port: z.string() }) })
  const containerSchema = z.object({
    ports: z.tuple([z.object({ name: z.string(), containerPort: z.int() })]),
    env: z.array(z.object({ name: z.string(), value: z.string() })),
    envFrom: z.tuple([z.object({ secretRef: z.object({ name: z.string() }) })]),
    startupProbe: probe,
    readinessProbe: probe,
    livenessProbe: probe,
    lifecycle: z.object({ preStop: z.object({ sleep: z.object({ seconds: z.int() }) }) }),
    securityContext: z.unknown().optional(),
    volumeMounts: z.array(z.object({ name: z.string(), mountPath: z.string() })),
  })
  const labelled = z.object({ matchLabels: strings })
  const { spec: deployment } = z
    .object({
      spec: z.object({
        replicas: z.int(),
        selector: labelled,
        template: z.object({
          metadata: z.object({ labels: strings }),
          spec: z.object({
            enableServiceLinks: z.literal(false),
            terminationGracePeriodSeconds: z.int(),
            securityContext: z.looseObject({ runAsNonRoot: z.literal(true) }),
            containers: z.tuple([containerSchema]),
          }),
        }),
      }),
    })
    .parse(ofKind('Deployment'))
  const { spec: pod } = deployment.template
  const [container] = pod.containers
  const secret = z
    .object({ metadata: z.object({ name: z.string() }), stringData: strings })
    .parse(ofKind('Secret'))

  test('names only variables that exist, and the service starts with them', () => {
    const env = Object.fromEntries(container.env.map(({ name, value }) => [name, value]))
    expect(unknownNames({ ...env, ...secret.stringData })).toEqual([])
    expect(container.envFrom[0].secretRef.name).toBe(secret.metadata.name)
    const made = { JWT_MAILER_SECRET: random(), ADMIN_TOKEN: random() }
    const config = readConfig({ ...imageEnv, ...env, ...secret.stringData, ...made })
    expect(config).toMatchObject({ production: true, metrics: true, trustedProxies: 1 })
    expect(config.databaseUrl).toBe(secret.stringData['DATABASE_URL'])
  })

  test('a secret that was not filled in does not start', () => {
    expect(() => readConfig({ ...imageEnv, ...secret.stringData })).toThrow(/JWT_MAILER_SECRET/)
  })

  test('the port is that of the image, and the probes ask a path that exists', () => {
    const [port] = container.ports
    expect(String(port.containerPort)).toBe(imageEnv['PORT'])
    const health = read('src/http/routes/health.ts')
    for (const { httpGet } of [container.startupProbe, container.readinessProbe, container.livenessProbe]) {
      expect(health).toContain(`app.get('${httpGet.path}'`)
      expect(httpGet.port).toBe(port.name)
    }
  })

  test('a relay that is away takes no replica away', () => {
    expect(container.readinessProbe.httpGet.path).toBe('/health/live')
  })

  test('a pod has time to stop after the pause in front', () => {
    const pauseS = container.lifecycle.preStop.sleep.seconds
    expect(pod.terminationGracePeriodSeconds - pauseS).toBeGreaterThanOrEqual(leastStopS)
  })

  test('runs without root and capabilities on a read-only file system', () => {
    expect(container.securityContext).toEqual({
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
    })
    expect(container.volumeMounts.map(({ mountPath }) => mountPath)).toEqual([imageVolume])
  })

  test('service and disruption budget are for these two replicas', () => {
    const { labels } = deployment.template.metadata
    const service = z
      .object({
        spec: z.object({ selector: strings, ports: z.tuple([z.object({ targetPort: z.string() })]) }),
      })
      .parse(ofKind('Service'))
    const budget = z
      .object({ spec: z.object({ minAvailable: z.int(), selector: labelled }) })
      .parse(ofKind('PodDisruptionBudget'))
    expect(deployment.selector.matchLabels).toEqual(labels)
    expect(service.spec.selector).toEqual(labels)
    expect(service.spec.ports[0].targetPort).toBe(container.ports[0].name)
    expect(budget.spec.selector.matchLabels).toEqual(labels)
    expect(deployment.replicas - budget.spec.minAvailable).toBe(1)
  })
})

describe('examples/server', () => {
  const unit = read('examples/server/jwt-mailer.service')
  const setting = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1] ?? ''
  const unitEnv = Object.assign(
    {},
    ...[...unit.matchAll(/^Environment=(.*)$/gm)].map(([, line = '']) => pairs(line)),
  )
  const example = pairs(read('examples/server/env.example').replace(/^#.*$/gm, ''), '\n')
  const nginx = read('examples/server/nginx.conf')
  const caddy = read('examples/server/Caddyfile')

  test('names only variables that exist, and the service starts with them', () => {
    expect(unknownNames(unitEnv)).toEqual(['XDG_CACHE_HOME'])
    expect(unknownNames(example)).toEqual([])
    const config = readConfig({ ...unitEnv, ...example, JWT_MAILER_SECRET: random() })
    expect(config).toMatchObject({ production: true, host: '127.0.0.1', trustedProxies: 1 })
    expect(config.appName).toBe('Your App')
  })

  test('starts what the Procfile starts, writes only to its folders, and has time to stop', () => {
    expect(setting('ExecStart')).toBe(read('Procfile').trim().replace('web: node', '/usr/bin/node'))
    expect(unitEnv.DATA_DIR).toBe(`/var/lib/${setting('StateDirectory')}`)
    expect(unitEnv.XDG_CACHE_HOME).toBe(`/var/cache/${setting('CacheDirectory')}`)
    expect(Number(setting('TimeoutStopSec'))).toBeGreaterThanOrEqual(leastStopS)
    for (const [name, value] of Object.entries({
      ProtectSystem: 'strict',
      NoNewPrivileges: 'yes',
      DynamicUser: 'yes',
    }))
      expect(setting(name)).toBe(value)
    expect(setting('CapabilityBoundingSet')).toBe('')
  })

  test('the proxies lead to its port, wait for its answer, and replace X-Forwarded-For', () => {
    const address = `${unitEnv.HOST}:${unitEnv.PORT}`
    expect(nginx).toContain(`server ${address};`)
    expect(caddy).toContain(`reverse_proxy ${address} {`)
    expect(secondsIn(/proxy_read_timeout (\w+);/.exec(nginx)?.[1])).toBeGreaterThanOrEqual(26)
    expect(secondsIn(/response_header_timeout (\w+)/.exec(caddy)?.[1])).toBeGreaterThanOrEqual(26)
    expect(nginx).toContain('proxy_set_header X-Forwarded-For $remote_addr;')
  })

  test('no log of nginx has the path of a request', () => {
    expect(/log_format jwt_mailer '(.*)'/.exec(nginx)?.[1]).not.toMatch(
      /\$(?:request|request_uri|uri|args|http_referer)\b/,
    )
    const logs = [...nginx.matchAll(/^\s*(access_log|error_log) (.*);/gm)].map(
      ([, kind, value]) => `${kind} ${value}`,
    )
    expect(logs).toHaveLength(4)
    for (const log of logs) expect(log).toMatch(/^access_log (?:off|\S+ jwt_mailer)$|^error_log \S+ emerg$/)
  })
})

/** `A=1 B="two words"` */
function pairs(text: string, separator = ' '): Strings {
  const lines = text.split(separator).filter((line) => line.includes('='))
  return Object.fromEntries(
    lines.map((line) => {
      const at = line.indexOf('=')
      return [line.slice(0, at), line.slice(at + 1).replaceAll('"', '')]
    }),
  )
}

/** What compose fills in where the shell has no such variable. */
function defaultsIn(env: Strings): Strings {
  return Object.fromEntries(
    Object.entries(env).map(([name, value]) => [name, value.replace(/^\$\{\w+:-(.*)\}$/, '$1')]),
  )
}

function secondsIn(text = ''): number {
  return Number(/^(\d+)s$/.exec(text)?.[1])
}
