/**
 * Counts connections that a stopping service resets: it starts, gets SIGTERM while callers send mails without a pause,
 * and ends, again and again. Half of the callers keep their connections. A line of JSON.
 */
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { Command } from 'commander'
import { scriptedRelay } from '../test/support/relay.ts'
import { startService } from '../test/support/service.ts'
import { sampleClaims, secret, signToken } from '../test/support/tokens.ts'
import { count } from './options.ts'

const options = new Command('bench/stops.ts')
  .description('Counts connections that a stopping service resets.')
  .option('--stops <n>', 'how often it is stopped', count, 20)
  .option('--callers <n>', 'callers at once', count, 40)
  .parse()
  .opts<{ stops: number; callers: number }>()

const busyMs = 500
const relay = await scriptedRelay()
const resets: number[] = []
let [answered, mails] = [0, 0]

/** A status, or the code of the system's error. */
function ask(port: number, agent: Agent): Promise<string> {
  const body = JSON.stringify({ token: signToken(sampleClaims({ jti: `stops-${(mails += 1)}` })) })
  return new Promise((ended) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
    const asking = request({ port, agent, headers, host: '127.0.0.1', path: '/emailservice', method: 'POST' })
    asking.once('response', (response) => {
      response.resume().once('end', () => ended(`${response.statusCode}`))
    })
    asking.once('error', (error: Error & { code?: string }) => ended(error.code ?? error.message))
    asking.end(body)
  })
}

async function call(port: number, agent: Agent, note: (outcome: string) => void): Promise<void> {
  for (let outcome = ''; outcome !== 'ECONNREFUSED'; ) {
    outcome = await ask(port, agent)
    note(outcome)
  }
  agent.destroy()
}

async function stopUnderLoad(): Promise<number> {
  const service = await startService({
    mode: 'production',
    env: {
      JWT_MAILER_SECRET: secret,
      MAIL_FROM: 'noreply@example.com',
      SMTP_URL: `smtp://user:password@127.0.0.1:${relay.port}?tls=off`,
      LIMIT_PER_RECIPIENT: 'off',
    },
  })
  let reset = 0
  const note = (outcome: string) => {
    if (outcome.length === 3) answered += 1
    else if (outcome !== 'ECONNREFUSED') reset += 1
  }
  const calls = Array.from({ length: options.callers }, (_, n) =>
    call(service.port, new Agent({ keepAlive: n % 2 === 0 }), note),
  )
  await sleep(busyMs)
  const code = await service.stop()
  if (code !== 0) throw new Error(`the service ended with ${code}`)
  await Promise.all(calls)
  return reset
}

try {
  for (let n = 0; n < options.stops; n += 1) resets.push(await stopUnderLoad())
  console.log(JSON.stringify({ ...options, answered, resets }))
} finally {
  await relay.close()
}
