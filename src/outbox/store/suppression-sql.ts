/**
 * Owns the SQL of suppression: which addresses get no mail, because one to them has bounced or an operator said so.
 *
 * Relays report in any order, so the end must not follow from it. A first bounce counts from when it is known (`since`),
 * because what was delivered before is not written down. From then on the row keeps what became of the newest mail: by
 * when mails were accepted, older ones say nothing more. So a row that a delivery has lifted stays, with `until` 0.
 */
import type { AcceptOperation, BounceEntry, DeliveryEntry, SuppressEntry } from './operation.ts'
import { json, listedNames, namesOf, statement, text, whole } from './rows.ts'
import type { Dialect } from './statement.ts'

const columns = 'recipient, app, reason, since, until, times'
/** Of a suppression that stands for all apps. */
export const everyApp = '*'

/**
 * Is a row of the parameter suppressed at `$2`, where `$3` is the scope? A row that names nobody to look for never is.
 * `s.app || ''` keeps the app out of the search of the index, which would search once for each.
 */
const suppressedBy = (names: string) => `exists (select 1 from outbox_suppression as s
  where s.recipient ${names} and s.until > $2 and ($3 = 'all' or s.app || '' in ('${everyApp}', ${text('app')})))`
const isSuppressed = {
  usual: suppressedBy(`= ${text('lookedFor')}`),
  /** While the secret is being replaced, the recipient has two names. */
  rotating: suppressedBy(`in (${text('lookedFor')}, ${text('formerRecipient')})`),
}

/** Of mails that one process accepts: whether any is looked for, how, and the parameters of the condition. */
export function lookup(mails: readonly AcceptOperation[]) {
  const scope = mails.find((mail) => mail.scope !== null)?.scope
  if (!scope) return undefined
  const isRotating = mails.some(({ formerRecipient }) => formerRecipient !== undefined)
  const params = [Math.max(...mails.map(({ now }) => now)), scope] as const
  return { by: isRotating ? 'rotating' : 'usual', params } as const
}

export const eitherWay = (write: (condition: string) => string) => ({
  usual: write(isSuppressed.usual),
  rotating: write(isSuppressed.rotating),
})

/** A repetition is known as one for so long after the end. */
const rememberedMs = 90 * 24 * 3_600_000

export function suppressionSql(dialect: Dialect) {
  const { each, skipLocked } = dialect
  const suppressed = eitherWay((condition) => `select ${text('id')} as id from ${each} where ${condition}`)
  const stands = `outbox_suppression.until > excluded.since
    and outbox_suppression.reason = 'added' and excluded.reason <> 'added'`
  const suppress = `insert into outbox_suppression (${columns}, forget)
    select ${text('recipient')}, ${text('app')}, ${text('reason')}, ${whole('since')}, ${whole('until')}, 1,
      ${whole('until')} + ${rememberedMs}
    from ${each} where true
    on conflict (recipient, app) do update set reason = excluded.reason, since = excluded.since,
      until = excluded.until, forget = excluded.forget
    where not (${stands})
    returning recipient`
  const bounces = `(select ${text('recipient')} as who, ${text('app')} as of_app, ${whole('created')} as created,
    ${whole('now')} as now, ${whole('until')} as usual_end from ${each}) as s`
  // Mails that were under way when the first of them bounced are no repetition, and one after a delivery neither.
  const times = `(outbox_suppression.times +
    case when outbox_suppression.reason = 'bounced' and outbox_suppression.until between 1 and s.now then 1 else 0 end)`
  // 30 days become 60, 120, and at last 240
  const until = `case when outbox_suppression.reason = 'bounced' and outbox_suppression.until > s.now
    then outbox_suppression.until
    else s.now + (s.usual_end - s.now) * (case ${times} when 1 then 1 when 2 then 2 when 3 then 4 else 8 end) end`
  const bounceAgain = `update outbox_suppression set reason = 'bounced', since = s.created, times = ${times},
      until = ${until}, forget = ${until} + ${rememberedMs}
    from ${bounces}
    where outbox_suppression.recipient = s.who and outbox_suppression.app = s.of_app
      and s.created >= outbox_suppression.since
      and not (outbox_suppression.reason = 'added' and outbox_suppression.until > s.now)`
  const bounce = `insert into outbox_suppression (${columns}, forget)
    select s.who, s.of_app, 'bounced', s.now, s.usual_end, 1, s.usual_end + ${rememberedMs} from ${bounces}
    where true on conflict (recipient, app) do nothing`
  // What an operator has added, only an operator lifts.
  const liftDelivered = `update outbox_suppression set since = s.created, until = 0
    from (select ${text('recipient')} as who, ${text('app')} as of_app, ${whole('created')} as created from ${each}) as s
    where outbox_suppression.recipient = s.who
      and (s.of_app is null or outbox_suppression.app || '' in ('${everyApp}', s.of_app))
      and outbox_suppression.reason <> 'added' and outbox_suppression.since < s.created`
  const recipients = listedNames(dialect)
  const find = `select ${columns} from outbox_suppression where recipient in (${recipients}) and until > 0 order by app`
  const list = `select ${columns} from outbox_suppression where since > 0 and until > 0 order by since desc limit $1`
  const lift = `delete from outbox_suppression where recipient in (${recipients}) returning ${columns}`
  const liftApp = `delete from outbox_suppression where recipient in (${recipients}) and app = $2 returning ${columns}`
  const rename = `update outbox_suppression set recipient = $2 where recipient = $1 and not exists
    (select 1 from outbox_suppression as known where known.recipient = $2 and known.app = outbox_suppression.app)`
  // what is known by the new name is newer
  const dropRenamed = `delete from outbox_suppression where recipient = $1 and reason <> 'added'`
  const purge = `delete from outbox_suppression where (recipient, app) in
    (select recipient, app from outbox_suppression where forget <= $1 limit $2 ${skipLocked}) returning recipient`
  return {
    /** Which of these mails are. `undefined` where none is looked for. */
    suppressed(mails: readonly AcceptOperation[]) {
      const looks = lookup(mails)
      return looks && statement(suppressed[looks.by], json(mails.map(whoFor)), ...looks.params)
    },
    suppress: (entries: readonly SuppressEntry[]) => statement(suppress, json(onePerAddress(entries))),
    /** Before `bounce`, in the same transaction: what a bounce means where the address is known. */
    bounceAgain: (mails: readonly BounceEntry[]) => statement(bounceAgain, json(mails)),
    bounce: (mails: readonly BounceEntry[]) => statement(bounce, json(mails)),
    /** At most one for an address and app. */
    liftDelivered: (deliveries: readonly DeliveryEntry[]) => statement(liftDelivered, json(deliveries)),
    findSuppressed: (names: readonly string[]) => statement(find, namesOf(names)),
    listSuppressed: (limit: number) => statement(list, limit),
    lift: (names: readonly string[], app: string | null) =>
      app === null ? statement(lift, namesOf(names)) : statement(liftApp, namesOf(names), app),
    renameSuppressed: (from: string, to: string) => statement(rename, from, to),
    dropRenamed: (from: string) => statement(dropRenamed, from),
    purgeSuppression: (now: number, limit: number) => statement(purge, now, limit),
  }
}

const whoFor = ({ id, app, lookedFor, formerRecipient }: AcceptOperation) => ({
  id,
  app,
  lookedFor,
  formerRecipient,
})

/** An upsert may meet each row once only. In one order, so that two of them do not lock each other out. */
function onePerAddress(entries: readonly SuppressEntry[]): SuppressEntry[] {
  const byAddress = new Map(entries.map((entry) => [`${entry.recipient} ${entry.app}`, entry]))
  return [...byAddress].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry)
}
