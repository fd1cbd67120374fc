import { existsSync, globSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { longest } from './longest-first.ts'
import { required, titled } from './missing.ts'
import { importsOf, testFilesByProject } from './projects.ts'

const root = resolve(import.meta.dirname, '../..')

afterEach(() => vi.unstubAllEnvs())

test('every test file is in one project', () => {
  const { unit, system, stores } = testFilesByProject()
  expect([...unit, ...system, ...stores].toSorted()).toEqual(
    globSync('test/**/*.test.ts', { cwd: root }).toSorted(),
  )
})

test('the longest files are there', () => {
  expect(longest.filter((file) => !existsSync(resolve(root, file)))).toEqual([])
})

test('a file that starts a process, a browser or a database, itself or by what it imports, is no unit test', () => {
  const { unit, system, stores } = testFilesByProject()
  expect(unit).toEqual(expect.arrayContaining(['test/token.test.ts', 'test/http/app.test.ts']))
  expect(system).toEqual(expect.arrayContaining(['test/server.test.ts', 'test/mails/look.test.ts']))
  expect(stores).toEqual(expect.arrayContaining(['test/crash.test.ts', 'test/outbox/outbox.test.ts']))
})

test('imports are followed through files of tests, and not through those of the service', () => {
  const imports = importsOf('test/server.test.ts')
  expect([...imports]).toEqual(
    expect.arrayContaining(['test/support/service.ts', 'node:child_process', 'vitest']),
  )
  expect([...importsOf('test/http/app.test.ts')]).toContain('test/support/app.ts')
})

test('a test that is skipped says why in its name', () => {
  const silent = globSync('test/**/*.ts', { cwd: root, exclude: ['test/support/support.test.ts'] }).filter(
    (file) =>
      readFileSync(resolve(root, file), 'utf8')
        .split(/\.skip(?:If\([^\n]*?\))?(?=\()/)
        .slice(1)
        .some(
          (after) => !/^\(\s*(?:titled\(|title\b|`[^`\n]*\$\{name\}|[^\n]*\n?[^\n]*skipped: )/.test(after),
        ),
  )
  expect(silent).toEqual([])
  expect(titled('a test', undefined)).toBe('a test')
  expect(titled('a test', 'no Postgres')).toBe('a test (skipped: no Postgres)')
})

test('what CI requires is not skipped', () => {
  vi.stubEnv('REQUIRE_NOTHING', '1')
  expect(() => required('REQUIRE_NOTHING', 'no Postgres')).toThrow('no Postgres, and REQUIRE_NOTHING=1')
  expect(required('REQUIRE_NOTHING', undefined)).toBeUndefined()
  expect(required('REQUIRE_ANYTHING', 'no Postgres')).toBe('no Postgres')
})
