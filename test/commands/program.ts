/**
 * The command as a person or a pre-commit hook calls it: a process of its own, with its output and its exit code. What
 * does not depend on the process, its folder or its standard input is asked of `runHere` (support/command.ts).
 */
import { spawn, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect } from 'vitest'
import type { Ended } from '../support/command.ts'
import { builtInMails, temporaryFolder } from '../support/preview.ts'

export const project = resolve(import.meta.dirname, '../..')
export const bin = join(project, 'src/jwt-mailer.js')

export interface RunOptions {
  /** An empty folder, if not given. */
  readonly cwd?: string
  readonly env?: Record<string, string>
  readonly input?: string
  /** Flags of Node itself. */
  readonly nodeFlags?: readonly string[]
}

const pathOnly = { PATH: process.env['PATH'] }

/** Waits for the end of the command; nothing else runs here meanwhile. */
export function run(words: readonly string[], options: RunOptions = {}): Ended {
  const { cwd = temporaryFolder(), env, input = '', nodeFlags = [] } = options
  const { status, stdout, stderr } = spawnSync(process.execPath, [...nodeFlags, bin, ...words], {
    cwd,
    env: { ...pathOnly, ...env },
    input,
    encoding: 'utf8',
    timeout: 60_000,
  })
  return { status, stdout, stderr }
}

/** As `run`, while this process goes on: a relay that lives here can answer. */
export function runBeside(words: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  const child = spawn(process.execPath, [bin, ...words], {
    cwd: temporaryFolder(),
    env: { ...pathOnly, ...env },
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk))
  return new Promise((done) => child.once('close', (status) => done({ status, stdout, stderr })))
}

/** A copy of the built-in mails, in one of which `from` is replaced. */
export function spoiledMails(file: string, from: string, to: string): string {
  const dir = temporaryFolder(builtInMails)
  const name = join(dir, file)
  const good = readFileSync(name, 'utf8')
  expect(good).toContain(from)
  writeFileSync(name, good.replace(from, to))
  return dir
}

export const lineOf = (file: string, text: string) =>
  readFileSync(file, 'utf8')
    .split('\n')
    .findIndex((line) => line.includes(text)) + 1
