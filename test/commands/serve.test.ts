/** `jwt-mailer serve`: the service as its child. */
import { expect, test } from 'vitest'
import { freePort } from '../support/port.ts'
import { startService } from '../support/service.ts'
import { secret } from '../support/tokens.ts'
import { bin, run } from './program.ts'

test('jwt-mailer serve starts the service, and ends it on SIGTERM', async () => {
  const port = await freePort()
  const service = await startService({
    mode: 'development',
    port,
    program: [bin, 'serve', '--port', String(port)],
    env: { JWT_MAILER_SECRET: secret },
  })
  expect(service.output()).toContain(`jwt-mailer listens on http://127.0.0.1:${port}`)
  expect(await service.stop()).toBe(0)
  expect(run(['serve', '--port', 'x']).stderr).toMatch(/1 to 65535/)
})
