/** Owns the SQL that takes an address out of the store. It looks at every mail, page by page: no mail pays for an index. */
import type { EraseOperation } from './operation.ts'
import { json, listedNames, namesOf, statement, text } from './rows.ts'
import type { Dialect } from './statement.ts'

export function eraseSql(dialect: Dialect) {
  const names = listedNames(dialect)
  const page = (after: string, limit: string) =>
    `(select id, recipient from outbox_mail where id > ${after} order by id limit ${limit}) as page`
  const lastOfPage = `select max(id) as last from ${page('$1', '$2')}`
  const foundInPage = `select id, recipient from ${page('$2', '$3')} where recipient in (${names})`
  // The recipient once more: since the page was read, another mail may have taken the place of this one.
  const erase = `update outbox_mail set recipient = '', body = null, lease = 0, stay_until = null,
      due = case when state in ('sending', 'queued') then $2 else due end,
      detail = case when state in ('sending', 'queued') then 'erased' else detail end,
      done = coalesce(done, $3),
      state = case when state = 'sent' then 'sent' else 'dead' end
    where (id, recipient) in (select ${text('id')}, ${text('recipient')} from ${dialect.each})
    returning detail`
  // The key begins with the recipient's name, whatever the length of the window behind it.
  const eraseQuotas = `delete from outbox_quota where substr(key, 1, 33) in
    (select 'recipient:' || name || ':' from (${names.replace(' from', ' as name from')}) as names) returning key`
  return {
    lastOfPage: (after: string, limit: number) => statement(lastOfPage, after, limit),
    foundInPage: (after: string, limit: number, list: readonly string[]) =>
      statement(foundInPage, namesOf(list), after, limit),
    erase: ({ mails, forgetAt, now }: EraseOperation) => statement(erase, json(mails), forgetAt, now),
    eraseQuotas: (list: readonly string[]) => statement(eraseQuotas, namesOf(list)),
  }
}
