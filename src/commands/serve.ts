/** Owns `jwt-mailer serve`: the service in the foreground, with the flags that `npm start` gives it. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { InvalidArgumentError } from 'commander'
import type { AddCommand } from './terminal.ts'

/** The same flags as in package.json, Procfile and Dockerfile; docs/decisions.md says why. */
const heap = ['--max-semi-space-size=8', '--max-old-space-size=160']
const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const
const help = `
Exit codes: 0 stopped by a signal · 1 could not start, or crashed: the log says why · 2 the command could not run

Examples:
  $ jwt-mailer serve                            with a local inbox: no mail leaves this machine
  $ jwt-mailer serve --port 9000 --mails my-mails
  $ NODE_ENV=production jwt-mailer serve        needs a secret and a relay`

export const addServe: AddCommand = (program, { env, finish }) => {
  program
    .command('serve')
    .summary('start the service')
    .description(
      'Starts the service in the foreground, as npm start does. Environment variables configure it; a file .env in this folder can hold them.',
    )
    .option('--port <number>', 'the port to listen on (default: PORT, else 8080)', readPort)
    .option('--mails <dir>', 'the folder of mails (default: MAILS_DIR, else the built-in mails)')
    .addHelpText('after', help)
    .action(async ({ port, mails }: { port?: string; mails?: string }) => {
      const given = { ...(port && { PORT: port }), ...(mails && { MAILS_DIR: mails }) }
      finish((await serve({ ...env, ...given })) === 0 ? 0 : 1)
    })
}

/** Starts a process of its own, because a running one cannot take the heap flags. Resolves with its exit code. */
function serve(env: NodeJS.ProcessEnv): Promise<number | null> {
  const source = fileURLToPath(new URL('../server.ts', import.meta.url))
  const server = existsSync(source) ? source : source.replace(/\.ts$/, '.js')
  const run = `import(${JSON.stringify(server)}).then(({ main }) => main())`
  const child = spawn(process.execPath, [...heap, '--input-type=module', '--eval', run], {
    env,
    stdio: 'inherit',
  })
  // a signal to the command is meant for the service
  const pass = (signal: NodeJS.Signals) => void child.kill(signal)
  for (const signal of signals) process.on(signal, pass)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => {
      for (const signal of signals) process.off(signal, pass)
      resolve(code)
    })
  })
}

function readPort(text: string): string {
  if (/^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535) return text
  throw new InvalidArgumentError('It must be a number from 1 to 65535.')
}
