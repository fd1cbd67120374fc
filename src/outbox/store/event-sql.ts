/** Owns the SQL of events: they are written beside the change that they tell of, leased, ended and forgotten. */
import type { NewEvent } from '../../event.ts'
import type { EndEventOperation, LeaseEventsOperation } from './operation.ts'
import { json, statement, text, whole } from './rows.ts'
import type { Dialect } from './statement.ts'

const columns = 'id, app, mail, kind, type, detail, at, sequence, ends, attempts'

export function eventSql({ each, skipLocked }: Dialect) {
  const events = `(select ${text('id')} as event, ${text('mail')} as mail, ${text('type')} as type,
      ${text('detail')} as detail, ${text('state')} as state, ${whole('now')} as now, ${whole('ends')} as ends
    from ${each}) as s`
  const happened = `outbox_mail.id = s.mail
    and (s.state is null or (outbox_mail.state = s.state and outbox_mail.done = s.now))`
  // A time, so that it also grows when a mail is forgotten and its id comes again; never twice the same for one mail.
  const count = `update outbox_mail set
      sequence = case when outbox_mail.sequence >= s.now then outbox_mail.sequence + 1 else s.now end
    from ${events} where ${happened}`
  const add = `insert into outbox_event
      (id, app, mail, kind, type, detail, at, sequence, due, ends, lease, attempts)
    select s.event, outbox_mail.app, outbox_mail.id, outbox_mail.kind, s.type, s.detail, s.now, outbox_mail.sequence,
      s.now, s.ends, 0, 0
    from ${events} join outbox_mail on ${happened} where true on conflict (id) do nothing`
  const dueApps = `select app from (select ${text('app')} as app from ${each}) as s
    where exists (select 1 from outbox_event where outbox_event.app = s.app and due <= $2)`
  const lease = `with mine as materialized
      (select id from outbox_event where app = $1 and due <= $2 order by due limit $3 ${skipLocked})
    update outbox_event set due = cast($4 as bigint), lease = cast($5 as bigint), attempts = attempts + 1
    where id in (select id from mine) returning ${columns}`
  const end = 'delete from outbox_event where id = $1'
  const retry = 'update outbox_event set due = cast($3 as bigint), lease = 0 where id = $1 and lease = $2'
  const purge = `delete from outbox_event where id in
    (select id from outbox_event where ends <= $1 order by ends limit $2 ${skipLocked}) returning id as event, app`
  return {
    /** Before `addEvents`, in the same transaction. */
    countEvents: (list: readonly NewEvent[]) => statement(count, json(list)),
    addEvents: (list: readonly NewEvent[]) => statement(add, json(list)),
    dueApps: ({ wanted, now }: LeaseEventsOperation) => statement(dueApps, json(wanted), now),
    leaseEvents: ({ now, due, leaseId }: LeaseEventsOperation, app: string, limit: number) =>
      statement(lease, app, now, limit, due, leaseId),
    /** A call that was answered is over, whoever has the lease by now. */
    endEvent: ({ id, leaseId, due }: EndEventOperation) =>
      due === null ? statement(end, id) : statement(retry, id, leaseId, due),
    purgeEvents: (endedBy: number, limit: number) => statement(purge, endedBy, limit),
  }
}
