/** Owns the SQL of what is counted by the hour: replicas add to the same rows, and old hours are forgotten. */
import type { HourCount } from '../../hour-counts.ts'
import { json, statement, text, whole } from './rows.ts'
import type { Dialect } from './statement.ts'

/** Beyond it another hand has written. */
const most = 1e15

export function hourSql({ each, skipLocked }: Dialect) {
  const isLatest = 'excluded.at > outbox_hour.at'
  const add = `insert into outbox_hour (hour, name, n, at)
    select ${whole('hour')}, ${text('name')}, ${whole('n')}, ${whole('at')} from ${each} where true
    on conflict (hour, name) do update set
      n = case when outbox_hour.n not between 0 and ${most} then excluded.n
        when excluded.name <> 'waiting' then outbox_hour.n + excluded.n
        when excluded.n > outbox_hour.n then excluded.n else outbox_hour.n end,
      at = case when ${isLatest} then excluded.at else outbox_hour.at end`
  const read = `select hour, name, n, at from outbox_hour where hour >= $1 and hour <= $2
    order by hour desc, name limit $3`
  const purge = `delete from outbox_hour where (hour, name) in
    (select hour, name from outbox_hour where hour < $1 limit $2 ${skipLocked}) returning hour`
  return {
    addHours: (counts: readonly HourCount[]) => statement(add, json(counts.toSorted(byHour))),
    readHours: (from: number, to: number, limit: number) => statement(read, from, to, limit),
    purgeHours: (before: number, limit: number) => statement(purge, before, limit),
  }
}

/** The order in which rows are locked. */
const byHour = (a: HourCount, b: HourCount) => a.hour - b.hour || (a.name < b.name ? -1 : 1)
