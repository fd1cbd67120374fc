/** Owns `jwt-mailer outbox`: what waits, what was given up, and how to put it back in line. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { CommandError, type Terminal } from './terminal.ts'
import type { MailState } from '../outbox/store/operation.ts'
import type { Outbox, StoredMail } from '../outbox/api.ts'

interface Json {
  readonly json?: boolean
}

const mailStates = ['sending', 'queued', 'sent', 'dead'] as const satisfies readonly MailState[]
const help = `
Exit codes: 0 done · 1 there is no such mail · 2 the command could not be carried out

Examples:
  $ jwt-mailer outbox stats
  $ jwt-mailer outbox list --state dead --json | jq -r '.mails[] | select(.detail == "expired") | .id'
  $ jwt-mailer outbox requeue --all-dead
  $ jwt-mailer outbox show -- -Qx0...          an ID that begins with a dash`

/**
 * Adds the command to `program`. `finish` hears the exit code 0 or 1; what cannot be carried out is thrown as
 * `CommandError`.
 */
export function outboxCommand(
  program: Command,
  finish: (code: 0 | 1) => void,
  terminal: Terminal,
  env: NodeJS.ProcessEnv = process.env,
): Command {
  const command = program
    .command('outbox')
    .summary('see what waits and what was given up; put it back in line')
    .description(
      'Looks into the outbox of the service, with the environment of the service, also while that runs. Nothing in it tells who a mail is for.',
    )
    .addHelpText('after', help)
  const desk: Desk = {
    async open(work) {
      const { withOutbox } = await import('./with-outbox.ts')
      finish(await withOutbox(env, work))
    },
    say({ json }, value, lines) {
      for (const line of json ? [JSON.stringify(value)] : lines) terminal.out(line)
    },
    unknown(id, state = '') {
      terminal.err(`jwt-mailer: there is no ${state}mail ${id}`)
      return 1
    },
  }
  for (const add of [addStats, addList, addShow, addRequeue, addPurge]) add(command, desk)
  return command
}

/** What the commands share: the outbox, and how they speak. */
interface Desk {
  /** `work` returns the exit code. */
  readonly open: (work: (outbox: Outbox) => Promise<0 | 1>) => Promise<void>
  readonly say: (options: Json, value: object, lines: readonly string[]) => void
  readonly unknown: (id: string, state?: string) => 1
}

const json = () => new Option('--json', 'one JSON object instead of a table')

function addStats(command: Command, { open, say }: Desk): void {
  command
    .command('stats')
    .summary('how many mails are in which state')
    .addOption(json())
    .action((options: Json) =>
      open(async (outbox) => {
        const [{ oldest, ...unsent }, sent] = await Promise.all([outbox.stats(), outbox.countSent()])
        const counts = { ...unsent, sent }
        const rows = mailStates.map((state) => [state, String(counts[state])])
        const since = oldest ? [`The oldest unsent mail was accepted at ${timeOf(oldest)}.`] : []
        say(options, { ...counts, oldest: isoOf(oldest ?? null) }, [...table(rows), ...since])
        return 0
      }),
    )
}

function addList(command: Command, { open, say }: Desk): void {
  command
    .command('list')
    .summary('the mails of one state')
    .addOption(new Option('--state <state>', 'their state').choices(mailStates).default('dead'))
    .option('--limit <count>', 'at most so many, up to 1000', readCount, 50)
    .addOption(json())
    .action(({ state, limit, ...options }: Json & { state: MailState; limit: number }) =>
      open(async (outbox) => {
        const mails = await outbox.list(state, limit)
        const lines = mails.length > 0 ? table([header, ...mails.map(rowOf)]) : [`No mail is ${state}.`]
        say(options, { mails: mails.map(shown) }, lines)
        return 0
      }),
    )
}

function addShow(command: Command, { open, say, unknown }: Desk): void {
  command
    .command('show')
    .summary('everything that is known about one mail')
    .argument('<id>', 'the id that the caller was answered and the log tells')
    .addOption(json())
    .action((id: string, options: Json) =>
      open(async (outbox) => {
        const mail = await outbox.find(id)
        if (!mail) return unknown(id)
        const fields = shown(mail)
        say(
          options,
          fields,
          table(Object.entries(fields).map(([name, value]) => [name, String(value ?? '-')])),
        )
        return 0
      }),
    )
}

function addRequeue(command: Command, { open, say, unknown }: Desk): void {
  command
    .command('requeue')
    .summary('put dead mails back in line, with a day to live')
    .argument('[id]', 'one mail')
    .option('--all-dead', 'every dead mail')
    .addOption(json())
    .action((id: string | undefined, { allDead = false, ...options }: Json & { allDead?: boolean }) => {
      if (allDead === (id !== undefined)) throw new CommandError('requeue needs either an ID or --all-dead')
      return open(async (outbox) => {
        if (id !== undefined && !(await outbox.requeue(id))) return unknown(id, 'dead ')
        const requeued = id === undefined ? await outbox.requeueDead() : 1
        say(options, { requeued }, [`${requeued} ${requeued === 1 ? 'mail is' : 'mails are'} back in line.`])
        return 0
      })
    })
}

function addPurge(command: Command, { open, say }: Desk): void {
  command
    .command('purge')
    .summary('delete what nobody needs any more; the service does so every minute')
    .addOption(json())
    .action((options: Json) =>
      open(async (outbox) => {
        const purged = await outbox.purge()
        say(options, { purged }, [`${purged} ${purged === 1 ? 'mail was' : 'mails were'} deleted.`])
        return 0
      }),
    )
}

const header = ['ID', 'APP', 'KIND', 'STATE', 'TRIES', 'WHY', 'ACCEPTED', 'EXPIRES']

const rowOf = ({ id, app, kind, state, attempts, detail, created, expires }: StoredMail) => [
  id,
  app,
  kind,
  state,
  String(attempts),
  detail ?? '-',
  timeOf(created),
  timeOf(expires),
]

function shown({ due, created, done, expires, ...mail }: StoredMail) {
  return { ...mail, created: isoOf(created), due: isoOf(due), expires: isoOf(expires), done: isoOf(done) }
}

const isoOf = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString())
const timeOf = (ms: number) => new Date(ms).toISOString().replace(/\.\d+/, '')

/** Columns as wide as what stands in them, two spaces apart. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths =
    rows[0]?.map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0))) ?? []
  return rows.map((cells) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

function readCount(value: string): number {
  if (/^\d{1,4}$/.test(value) && Number(value) >= 1 && Number(value) <= 1000) return Number(value)
  throw new InvalidArgumentError('It must be a whole number from 1 to 1000.')
}
