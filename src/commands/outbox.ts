/** Owns `jwt-mailer outbox`: how an operator sees, requeues, gives up and deletes stored mails. */
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Config } from '../config/config.ts'
import type { Outbox, StoredMail } from '../outbox/api.ts'
import { type MailState, mailStates, mostCounted } from '../outbox/store/operation.ts'
import { table } from './table.ts'
import { type AddCommand, CommandError } from './terminal.ts'

interface Json {
  readonly json?: boolean
}

/** `examples` are what stands behind `jwt-mailer outbox`. */
const help = (...examples: string[]) => `
Exit codes: 0 done · 1 there is no such mail · 2 the command could not run

Examples:
${examples.map((example) => `  $ jwt-mailer outbox ${example}`).join('\n')}`
const examples = {
  stats: 'stats',
  list: `list --state dead --json | jq -r '.mails[] | select(.detail == "expired") | .id'`,
  show: 'show -- -Qx0...          an ID that begins with a dash',
  requeue: 'requeue --all-dead',
  giveUp: 'give-up 7Jq4...',
}

export const addOutbox: AddCommand = (program, { terminal, env, finish }) => {
  const command = program
    .command('outbox')
    .summary('show waiting and dead mails; requeue, give up or delete them')
    .description(
      'Reads and changes the outbox of the service, with the environment of the service, also while the service runs. Shows no recipient: the outbox does not store one in clear.',
    )
    .addHelpText('after', help(...Object.values(examples)))
  const context: OutboxCommandContext = {
    async withOutbox(work) {
      const { withOutbox } = await import('./with-outbox.ts')
      finish(await withOutbox(env, work))
    },
    print({ json }, value, lines) {
      for (const line of json ? [JSON.stringify(value)] : lines) terminal.out(line)
    },
    notFound(id, state = '') {
      terminal.err(`jwt-mailer: there is no ${state}mail ${id}`)
      return 1
    },
  }
  for (const add of [addStats, addList, addShow, addRequeue, addGiveUp, addPurge]) add(command, context)
}

interface OutboxCommandContext {
  /** Opens the outbox for `work`, which returns the exit code. */
  readonly withOutbox: (work: (outbox: Outbox, config: Config) => Promise<0 | 1>) => Promise<void>
  /** The value with `--json`, else the lines. */
  readonly print: (options: Json, value: object, lines: readonly string[]) => void
  readonly notFound: (id: string, state?: string) => 1
}

const json = () => new Option('--json', 'print one JSON object')

function addStats(command: Command, { withOutbox, print }: OutboxCommandContext): void {
  command
    .command('stats')
    .summary('count the mails of each state')
    .addOption(json())
    .addHelpText('after', help(examples.stats, 'stats --json | jq .queued'))
    .action((options: Json) =>
      withOutbox(async (outbox) => {
        const [{ oldest, ...unsent }, sent] = await Promise.all([outbox.stats(), outbox.countSent()])
        const counts = { ...unsent, sent }
        const rows = mailStates.map((state) => [state, counted(counts[state])])
        const since = oldest ? [`The oldest unsent mail was accepted at ${timeOf(oldest)}.`] : []
        print(options, { ...counts, most: mostCounted, oldest: isoOf(oldest ?? null) }, [
          ...table(rows),
          ...since,
        ])
        return 0
      }),
    )
}

function addList(command: Command, { withOutbox, print }: OutboxCommandContext): void {
  command
    .command('list')
    .summary('list the mails of one state')
    .addOption(new Option('--state <state>', 'which state').choices(mailStates).default('dead'))
    .option('--limit <count>', 'how many at most, 1 to 1000', readCount, 50)
    .addOption(json())
    .addHelpText('after', help('list', 'list --state queued --limit 10', examples.list))
    .action(({ state, limit, ...options }: Json & { state: MailState; limit: number }) =>
      withOutbox(async (outbox) => {
        const mails = await outbox.list(state, limit)
        const lines =
          mails.length > 0 ? table([header, ...mails.map(rowOf)]) : await othersThan(state, outbox)
        print(options, { mails: mails.map(shown) }, lines)
        return 0
      }),
    )
}

/** What there is instead, so that an empty list of dead mails does not look like an empty outbox. */
async function othersThan(state: MailState, outbox: Outbox): Promise<string[]> {
  const counts = { ...(await outbox.stats()), sent: await outbox.countSent() }
  const others = mailStates.filter((other) => other !== state && counts[other] > 0)
  const listed = others.map((other) => `${counted(counts[other])} ${other} (--state ${other})`).join(', ')
  return [`No mail is ${state}.${listed && ` There are: ${listed}.`}`]
}

function addShow(command: Command, { withOutbox, print, notFound }: OutboxCommandContext): void {
  command
    .command('show')
    .summary('show what is stored about one mail')
    .argument('<id>', 'the id from the answer to the caller or from the log')
    .addOption(json())
    .addHelpText('after', help('show 7Jq4...', examples.show))
    .action((id: string, options: Json) =>
      withOutbox(async (outbox) => {
        const mail = await outbox.find(id)
        if (!mail) return notFound(id)
        const fields = shown(mail)
        print(
          options,
          fields,
          table(Object.entries(fields).map(([name, value]) => [name, String(value ?? '-')])),
        )
        return 0
      }),
    )
}

function addRequeue(command: Command, { withOutbox, print, notFound }: OutboxCommandContext): void {
  command
    .command('requeue')
    .summary('queue dead mails again; they expire after a day')
    .argument('[id]', 'one mail')
    .option('--all-dead', 'every dead mail')
    .addOption(json())
    .addHelpText('after', help('requeue 7Jq4...', examples.requeue))
    .action((id: string | undefined, { allDead = false, ...options }: Json & { allDead?: boolean }) => {
      if (allDead === (id !== undefined)) throw new CommandError('requeue needs either an ID or --all-dead')
      return withOutbox(async (outbox) => {
        if (id !== undefined && !(await outbox.requeue(id))) return notFound(id, 'dead ')
        const requeued = id === undefined ? await outbox.requeueDead() : 1
        print(options, { requeued }, [
          `${requeued} ${requeued === 1 ? 'mail is' : 'mails are'} queued again.`,
        ])
        return 0
      })
    })
}

function addGiveUp(command: Command, { withOutbox, print, notFound }: OutboxCommandContext): void {
  command
    .command('give-up')
    .summary('make a queued mail a dead one, which can be requeued')
    .description(
      'Makes a mail that waits for its next try a dead one; its app hears of it by its callback. One that is being sent just now cannot be given up: a relay may have it.',
    )
    .argument('<id>', 'one mail')
    .addOption(json())
    .addHelpText('after', help(examples.giveUp))
    .action((id: string, options: Json) =>
      withOutbox(async (outbox, { webhooks }) => {
        const app = (await outbox.find(id))?.app
        const calledApps = app !== undefined && webhooks.webhookOf(app) ? [app] : undefined
        if (!(await outbox.giveUp(id, calledApps))) return notFound(id, 'queued ')
        print(options, { givenUp: 1 }, ['1 mail is given up. It is among the dead.'])
        return 0
      }),
    )
}

function addPurge(command: Command, { withOutbox, print }: OutboxCommandContext): void {
  command
    .command('purge')
    .summary('delete mails that are kept no longer; the service does so every minute')
    .addOption(json())
    .addHelpText('after', help('purge'))
    .action((options: Json) =>
      withOutbox(async (outbox) => {
        const purged = await outbox.purge()
        print(options, { purged }, [`${purged} ${purged === 1 ? 'mail was' : 'mails were'} deleted.`])
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

const counted = (count: number) => (count < mostCounted ? String(count) : `${mostCounted} or more`)
const isoOf = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString())
const timeOf = (ms: number) => new Date(ms).toISOString().replace(/\.\d+/, '')

function readCount(value: string): number {
  if (/^\d{1,4}$/.test(value) && Number(value) >= 1 && Number(value) <= 1000) return Number(value)
  throw new InvalidArgumentError('It must be a whole number from 1 to 1000.')
}
