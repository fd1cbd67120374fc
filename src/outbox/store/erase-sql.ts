/** Owns the SQL that takes an address out of the store. It looks at every mail, page by page: no mail pays for an index. */
import { hasListedId, idsOf, listedNames, namesOf, statement } from './rows.ts'
import type { Dialect } from './statement.ts'

export function eraseSql(dialect: Dialect) {
  const names = listedNames(dialect)
  const page = (after: string, limit: string) =>
    `(select id, state, recipient from outbox_mail where id > ${after} order by id limit ${limit}) as page`
  const lastOfPage = `select max(id) as last from ${page('$1', '$2')}`
  const foundInPage = `select id, state from ${page('$2', '$3')} where recipient in (${names})`
  const erase = `update outbox_mail set recipient = '', body = null, lease = 0, stay_until = null,
      due = case when state in ('sending', 'queued') then $2 else due end,
      detail = case when state in ('sending', 'queued') then 'erased' else detail end,
      done = coalesce(done, $3),
      state = case when state = 'sent' then 'sent' else 'dead' end
    where ${hasListedId(dialect)}`
  // The key begins with the recipient's name, whatever the length of the window behind it.
  const eraseQuotas = `delete from outbox_quota where substr(key, 1, 33) in
    (select 'recipient:' || name || ':' from (${names.replace(' from', ' as name from')}) as names) returning key`
  return {
    lastOfPage: (after: string, limit: number) => statement(lastOfPage, after, limit),
    foundInPage: (after: string, limit: number, list: readonly string[]) =>
      statement(foundInPage, namesOf(list), after, limit),
    erase: (mails: readonly { readonly id: string }[], forgetAt: number, now: number) =>
      statement(erase, idsOf(mails), forgetAt, now),
    eraseQuotas: (list: readonly string[]) => statement(eraseQuotas, namesOf(list)),
  }
}
