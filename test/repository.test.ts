/** Holds what a stranger meets first to the rest of the repository: licence, contributing, forms of GitHub, CI. */
import { spawnSync } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'

const project = resolve(import.meta.dirname, '..')
const read = (name: string) => readFileSync(join(project, name), 'utf8')
const manifestSchema = z.object({
  license: z.string(),
  version: z.string(),
  engines: z.object({ node: z.string() }),
  scripts: z.record(z.string(), z.string()),
})
const manifest = manifestSchema.parse(JSON.parse(read('package.json')))

test('the licence is the one that both packages name, and both carry it', () => {
  const client = manifestSchema.parse(JSON.parse(read('client/package.json')))
  expect([manifest.license, client.license]).toEqual(['MIT', 'MIT'])
  expect(read('LICENSE')).toMatch(/^MIT License\n\nCopyright \(c\) \d{4} the jwt-mailer authors\n/)
  expect(read('client/LICENSE')).toBe(read('LICENSE'))
})

describe.each(['CONTRIBUTING.md', '.github/pull_request_template.md', '.github/workflows/ci.yml'])(
  '%s',
  (file) => {
    test('names only npm scripts and files that exist', () => {
      const text = read(file)
      const scripts = [...text.matchAll(/npm run ([\w:-]+)/g)].map(([, name = '']) => name)
      const files = [...text.matchAll(/(?:^|[\s`])((?:test|mails|src|docs|\.ci)\/[\w./-]+)/g)]
      expect(scripts.filter((name) => !(name in manifest.scripts))).toEqual([])
      expect(files.map(([, name = '']) => name).filter((name) => !existsSync(join(project, name)))).toEqual(
        [],
      )
    })
  },
)

describe('CI', () => {
  const job = z.object({
    'timeout-minutes': z.int().positive(),
    container: z.object({ image: z.string() }),
    strategy: z.object({ matrix: z.object({ node: z.array(z.int()) }) }).optional(),
    steps: z.array(z.object({ uses: z.string().optional(), run: z.string().optional() })),
  })
  const workflow = z
    .object({
      on: z.record(z.string(), z.unknown()),
      permissions: z.unknown(),
      jobs: z.record(z.string(), job),
    })
    .parse(parse(read('.github/workflows/ci.yml')))
  const { everything, client } = workflow.jobs
  const commandsOf = (steps: z.infer<typeof job>['steps'] = []) => steps.map(({ run }) => run)

  test('runs on each push, and may only read', () => {
    expect(Object.keys(workflow.on)).toContain('push')
    expect(workflow.permissions).toEqual({ contents: 'read' })
  })

  test('runs everything on the Debian and the Node of the image', () => {
    const [, base = ''] = /^FROM (node:\d+-\w+)-slim AS/m.exec(read('Dockerfile')) ?? []
    expect(everything?.container.image).toBe(base)
    expect(commandsOf(everything?.steps)).toContain('.ci/run')
  })

  test('runs the client on each Node that the package names, and on the Deno and Bun of .ci/run', () => {
    const majors = manifest.engines.node.split(' || ').map(Number.parseFloat)
    expect(client?.strategy?.matrix.node).toEqual(majors)
    const runtimes = /deno@[\d.]+ bun@[\d.]+/
    expect(commandsOf(client?.steps).join('\n')).toContain(runtimes.exec(read('.ci/run'))?.[0] ?? 'none')
  })
})

describe('the release', () => {
  const workflow = z
    .object({
      on: z.object({ push: z.object({ tags: z.array(z.string()) }), workflow_dispatch: z.null() }),
      permissions: z.unknown(),
      jobs: z.record(
        z.string(),
        z.object({ steps: z.array(z.object({ run: z.string().optional(), uses: z.string().optional() })) }),
      ),
    })
    .parse(parse(read('.github/workflows/release.yml')))
  const runNode = (...words: string[]) =>
    spawnSync(process.execPath, words, { cwd: project, encoding: 'utf8' })

  test('runs for a tag, or by hand without publishing', () => {
    expect(workflow.on.push.tags).toEqual(['v*'])
    expect(workflow.permissions).toEqual({ contents: 'read' })
    const publishes = (workflow.jobs['packages']?.steps ?? []).filter(({ run }) =>
      run?.startsWith('npm publish'),
    )
    expect(publishes).toHaveLength(2)
    for (const { run } of publishes) expect(run).toMatch(/--provenance .*--dry-run/)
  })

  test('wants the tag to be the version of both packages', () => {
    const script = '.github/tag-is-version.js'
    expect(runNode(script, `v${manifest.version}`)).toMatchObject({ status: 0, stderr: '' })
    const { status, stderr } = runNode(script, 'v0.0.0')
    expect(status).toBe(1)
    expect(stderr).toMatch(/^The tag is v0\.0\.0, and package\.json says /)
  })

  test('takes its notes from the changelog', () => {
    const script = '.github/release-notes.js'
    const { status, stdout } = runNode(script, 'vUnreleased')
    expect(status).toBe(0)
    expect(stdout).toMatch(/^### /)
    expect(runNode(script, 'v0.0.0')).toMatchObject({ status: 1, stdout: '' })
  })
})

describe.each(globSync('.github/ISSUE_TEMPLATE/!(config).yml', { cwd: project }))('%s', (file) => {
  test('is a form that GitHub takes', () => {
    const { body } = formSchema.parse(parse(read(file)))
    const ids = body.flatMap((field) => ('id' in field ? [field.id] : []))
    expect(new Set(ids).size).toBe(ids.length)
    expect(ids.length).toBeGreaterThan(1)
  })
})

/** GitHub's rules for issue forms, as far as ours use them. */
const field = <Type extends string>(type: Type, attributes: z.ZodRawShape = {}) =>
  z.strictObject({
    type: z.literal(type),
    id: z.string().regex(/^[\w-]+$/),
    attributes: z.strictObject({
      label: z.string().min(1),
      description: z.string().optional(),
      ...attributes,
    }),
    validations: z.strictObject({ required: z.boolean() }).optional(),
  })
const formSchema = z.strictObject({
  name: z.string().min(4),
  description: z.string().min(4),
  labels: z.array(z.string()),
  body: z.array(
    z.union([
      z.strictObject({ type: z.literal('markdown'), attributes: z.strictObject({ value: z.string() }) }),
      field('textarea', { render: z.string().optional() }),
      field('input'),
      field('dropdown', { options: z.array(z.string()).min(1) }),
    ]),
  ),
})
