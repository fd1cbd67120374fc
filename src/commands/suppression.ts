/** Owns `jwt-mailer suppression`: how an operator sees, adds, lifts and imports addresses that get no mail. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Config } from '../config/config.ts'
import type { Outbox } from '../outbox/api.ts'
import type { Suppression } from '../outbox/suppression.ts'
import { readAddress } from './address-argument.ts'
import { table } from './table.ts'
import type { AddCommand, Terminal } from './terminal.ts'

interface Common {
  readonly json?: boolean
  readonly app?: string
}

/** `examples` are what stands behind `jwt-mailer suppression`. */
const help = (...examples: string[]) => `
Exit codes: 0 done · 1 the address is not suppressed · 2 the command could not run

Examples:
${examples.map((example) => `  $ jwt-mailer suppression ${example}`).join('\n')}`
const examples = {
  list: 'list --limit 10',
  show: 'show ada@example.com',
  add: 'add ada@example.com --days 90',
  lift: 'lift ada@example.com',
  import: 'import suppression_bounces.csv',
}

const dayMs = 24 * 3_600_000

export const addSuppression: AddCommand = (program, { terminal, env, finish }) => {
  const command = program
    .command('suppression')
    .summary('show, add, lift or import addresses that get no mail')
    .description(
      'Reads and changes the suppression list of the service, with the environment of the service, also while the service runs. An address that has bounced for good gets no mail for 30 days, and longer each time. The list holds no address in clear.',
    )
    .addHelpText('after', help(...Object.values(examples)))
  const context: Context = {
    terminal,
    async withOutbox(work) {
      const { withOutbox } = await import('./with-outbox.ts')
      finish(await withOutbox(env, work))
    },
    print({ json }, value, lines) {
      for (const line of json ? [JSON.stringify(value)] : lines) terminal.out(line)
    },
  }
  for (const add of [addList, addShow, addAdd, addLift, addImport]) add(command, context)
}

interface Context {
  readonly terminal: Terminal
  /** Opens the outbox for `work`, which returns the exit code. */
  readonly withOutbox: (work: (outbox: Outbox, config: Config) => Promise<0 | 1>) => Promise<void>
  /** The value with `--json`, else the lines. */
  readonly print: (options: Common, value: object, lines: readonly string[]) => void
}

const json = () => new Option('--json', 'print one JSON object')
const appOption = (description: string) => new Option('--app <name>', description)
const daysOption = () =>
  new Option('--days <count>', 'for how long, 1 to 3650').argParser(readDays).default(30)

function addList(command: Command, { withOutbox, print }: Context): void {
  command
    .command('list')
    .summary('list what is suppressed, the newest first; each address as the HMAC that is stored')
    .option('--limit <count>', 'how many at most, 1 to 1000', readCount, 50)
    .addOption(json())
    .addHelpText('after', help(examples.list))
    .action(({ limit, ...options }: Common & { limit: number }) =>
      withOutbox(async (outbox) => {
        printAll(await outbox.listSuppressed(limit), 'No address is suppressed.', options, print)
        return 0
      }),
    )
}

function addShow(command: Command, { withOutbox, print }: Context): void {
  command
    .command('show')
    .summary('is this address suppressed?')
    .argument('<address>')
    .addOption(json())
    .addHelpText('after', help(examples.show))
    .action((given: string, options: Common) =>
      withOutbox(async (outbox) => {
        const found = await outbox.findSuppressed(readAddress(given))
        printAll(found, 'The address is not suppressed.', options, print)
        return found.length > 0 ? 0 : 1
      }),
    )
}

function addAdd(command: Command, { terminal, withOutbox, print }: Context): void {
  command
    .command('add')
    .summary('send nothing to an address, until you lift it or the time is over')
    .argument('<address>')
    .addOption(appOption('mails of this app only; without it, of all apps'))
    .addOption(daysOption())
    .addOption(json())
    .addHelpText('after', help(examples.add))
    .action(async (given: string, { days, app, ...options }: Common & { days: number }) => {
      const address = readAddress(given)
      await withOutbox(async (outbox, config) => {
        warnWhenOff(config, terminal)
        await outbox.suppress([{ address, app, reason: 'added', ms: days * dayMs }])
        printAll(await outbox.findSuppressed(address), '', options, print)
        return 0
      })
    })
}

function addLift(command: Command, { withOutbox, print }: Context): void {
  command
    .command('lift')
    .summary('send to an address again')
    .argument('<address>', 'the address, or the HMAC that the list shows')
    .addOption(appOption('what stands for this app only'))
    .addOption(json())
    .addHelpText('after', help(examples.lift, 'lift -- -Qx0...          an HMAC that begins with a dash'))
    .action((who: string, { app, ...options }: Common) =>
      withOutbox(async (outbox) => {
        const address = who.includes('@') ? readAddress(who) : who
        const lifted = (await outbox.liftSuppression(address, app)).length
        print(options, { lifted }, [lifted > 0 ? 'Lifted.' : 'The address is not suppressed.'])
        return lifted > 0 ? 0 : 1
      }),
    )
}

function addImport(command: Command, { terminal, withOutbox, print }: Context): void {
  command
    .command('import')
    .summary('suppress the bounced addresses of a CSV file that SendGrid, SES or Postmark has exported')
    .argument('<file>', 'the CSV file; - reads standard input')
    .addOption(appOption('mails of this app only; without it, of all apps'))
    .addOption(daysOption())
    .addOption(json())
    .addHelpText('after', help(examples.import, 'import suppressions.csv --app shop --json'))
    .action((file: string, { days, app, ...options }: Common & { days: number }) =>
      withOutbox(async (outbox, config) => {
        warnWhenOff(config, terminal)
        const { importBounces } = await import('./import-bounces.ts')
        const counts = await importBounces(file, (addresses) =>
          outbox.suppress(
            addresses.map((address) => ({ address, app, reason: 'imported', ms: days * dayMs })),
          ),
        )
        const { imported, skipped, invalid } = counts
        print(options, counts, [
          `${imported} imported, ${skipped} skipped (no bounces), ${invalid} that are no address.`,
        ])
        return 0
      }),
    )
}

/** What is stored has no effect where the service does not look. */
function warnWhenOff({ suppression }: Config, terminal: Terminal): void {
  if (suppression === undefined)
    terminal.err(
      'jwt-mailer: SUPPRESSION is off here, so the service sends to these addresses all the same. Set SUPPRESSION=app or all.',
    )
}

function printAll(
  list: readonly Suppression[],
  empty: string,
  options: Common,
  print: Context['print'],
): void {
  const rows = list.map(({ recipient, app, reason, since, until, times }) => [
    recipient,
    app,
    reason,
    String(times),
    timeOf(since),
    timeOf(until),
  ])
  const value = list.map(({ since, until, ...each }) => ({
    ...each,
    since: timeOf(since),
    until: timeOf(until),
  }))
  print(options, { suppressed: value }, rows.length > 0 ? table([header, ...rows]) : [empty])
}

const header = ['ADDRESS (HMAC)', 'APP', 'REASON', 'TIMES', 'SINCE', 'UNTIL']
const timeOf = (ms: number) => new Date(ms).toISOString().replace(/\.\d+/, '')

function readDays(value: string): number {
  if (/^\d{1,4}$/.test(value) && Number(value) >= 1 && Number(value) <= 3650) return Number(value)
  throw new InvalidArgumentError('It must be a whole number of days from 1 to 3650.')
}

function readCount(value: string): number {
  if (/^\d{1,4}$/.test(value) && Number(value) >= 1 && Number(value) <= 1000) return Number(value)
  throw new InvalidArgumentError('It must be a whole number from 1 to 1000.')
}
