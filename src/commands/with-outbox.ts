/** Owns the way of a command into the outbox of the service: found by its environment, opened, and closed again. */
import { existsSync } from 'node:fs'
import { ConfigError, problemLine } from '../config/config-error.ts'
import { type Config, readConfig } from '../config/config.ts'
import { MailerError } from '../errors.ts'
import { hourCounts } from '../hour-counts.ts'
import { hourWriter } from '../outbox/hour-writer.ts'
import { OutboxError } from '../outbox/reconnect.ts'
import { openOutbox } from '../outbox/outbox.ts'
import type { Outbox } from '../outbox/api.ts'
import { engineOf, outboxFile } from '../outbox/store/choose-engine.ts'
import { CommandError } from './terminal.ts'

const silent = { info() {}, warn() {}, error() {} }

/** Whatever keeps `work` from being done is thrown as a `CommandError`. */
export async function withOutbox<T>(
  env: NodeJS.ProcessEnv,
  work: (outbox: Outbox, config: Config) => Promise<T>,
): Promise<T> {
  const config = readOrComplain(env)
  refuseToMakeFile(config)
  const counts = hourCounts()
  const outbox = await openOutbox({
    engine: await engineOf(config),
    secrets: config.sealSecrets,
    suppression: config.suppression,
    limits: config.limits,
    log: silent,
    count: counts.add,
  }).catch((error: unknown) => {
    throw error instanceof OutboxError ? new CommandError(error.message) : error
  })
  try {
    // The service does not wait for a slow database, a command does.
    await outbox.ready(5000)
    const trouble = outbox.trouble()
    if (trouble !== undefined) throw new CommandError(`the outbox cannot be reached: ${trouble}`)
    const result = await work(outbox, config)
    // what the operator's page shows of this hour
    if (config.adminToken !== undefined) await hourWriter({ counts, outbox, log: silent }).refresh()
    return result
  } catch (error) {
    if (!(error instanceof MailerError)) throw error
    throw new CommandError(`the outbox cannot be reached: ${error.reason ?? error.code}`)
  } finally {
    await outbox.close(0)
  }
}

/** The configuration of the service, or a `CommandError` with all that is wrong with it. */
export function readOrComplain(env: NodeJS.ProcessEnv): Config {
  try {
    return readConfig(env)
  } catch (error) {
    if (error instanceof ConfigError)
      throw new CommandError(
        `the environment needs attention:\n${error.problems.map(problemLine).join('\n')}`,
      )
    throw error
  }
}

/** A file made here might belong to another user than the service's, and would only ever be empty. */
function refuseToMakeFile(config: Config): void {
  const path = outboxFile(config)
  if (config.databaseUrl !== undefined || existsSync(path)) return
  throw new CommandError(
    `there is no outbox ${path}. The service makes it when it starts; DATA_DIR says where.`,
  )
}
