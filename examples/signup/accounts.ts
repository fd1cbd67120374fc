/** Owns what the site remembers, in one SQLite file: users, sessions, used links, codes, mails, and how often who asked for what. */
import { createHash, randomBytes, randomInt, timingSafeEqual } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'

export interface User {
  readonly id: number
  readonly address: string
  readonly password: string
  readonly verified: 0 | 1
  /** Goes up with every change of password or address. */
  readonly version: number
}

export interface SentMail {
  readonly id: string
  readonly user: number
  readonly address: string
  /** When it was handed over, epoch ms. */
  readonly sent: number
  /** It was refused at once, because an earlier mail to the address has bounced. */
  readonly isLost: boolean
}

interface Code {
  readonly user: number | null
  readonly hash: string
}

const schema = `
  create table if not exists users (id integer primary key, address text not null unique, password text not null,
    verified integer not null default 0, version integer not null default 1);
  create table if not exists sessions (id text primary key, user integer not null, ends integer not null);
  create table if not exists used_links (id text primary key, ends integer not null);
  create table if not exists codes (id text primary key, user integer, hash text not null, tries integer not null,
    ends integer not null);
  create table if not exists mails (id text primary key, user integer, address text, sent integer not null,
    sequence integer not null, lost integer not null, ends integer not null);
  create index if not exists mails_of_user on mails (user, address, sent);
  create table if not exists limits (key text primary key, n integer not null, ends integer not null);`

const sessionMs = 12 * 3_600_000
const codeMs = 10 * 60_000
const codeTries = 5
/** As long as the mailer suppresses an address that has bounced. */
const mailMs = 30 * 86_400_000

export type Accounts = ReturnType<typeof openAccounts>

export function openAccounts(path: string) {
  const db = new DatabaseSync(path)
  db.exec(`pragma journal_mode = wal; ${schema}`)
  const sweeper = setInterval(forget, 60_000).unref()

  /** A copy of the file must not open anybody's session, so it holds their hashes only. */
  const hidden = (text: string) => createHash('sha256').update(text).digest('base64url')
  // oxlint-disable-next-line no-unnecessary-type-parameters -- who asks knows from the schema above what a row is
  const rowOf = <T>(sql: string, ...values: (string | number | null)[]) =>
    // oxlint-disable-next-line no-unsafe-type-assertion -- see above
    db.prepare(sql).get(...values) as T | undefined
  const change = (sql: string, ...values: (string | number | null)[]) =>
    Number(db.prepare(sql).run(...values).changes)

  const userAt = (address: string) => rowOf<User>('select * from users where address = ?', address)
  const userBy = (id: number) => rowOf<User>('select * from users where id = ?', id)

  /** For a new address, or one that nobody has confirmed yet: then the latest password counts, and older links end. */
  function register(address: string, password: string): User | undefined {
    return rowOf<User>(
      `insert into users (address, password) values (?, ?) on conflict (address) do update
       set password = excluded.password, version = version + 1 where verified = 0 returning *`,
      address,
      password,
    )
  }

  /** False when the user has changed since `version`. */
  const confirm = (id: number, version: number) =>
    change('update users set verified = 1 where id = ? and version = ?', id, version) > 0

  const endCodes = (user: number) => change('delete from codes where user = ?', user)

  /** Ends every session, code and older link. Whoever got here has read a mail to the address, so it is verified. */
  function setPassword(id: number, version: number, password: string): boolean {
    const sql =
      'update users set password = ?, verified = 1, version = version + 1 where id = ? and version = ?'
    const done = change(sql, password, id, version) > 0
    if (done) change('delete from sessions where user = ?', id)
    if (done) endCodes(id)
    return done
  }

  /** False when the user has changed since, or somebody else has the address by now. Ends the codes at the old one. */
  function setAddress(id: number, version: number, address: string): boolean {
    const sql = 'update or ignore users set address = ?, version = version + 1 where id = ? and version = ?'
    const done = change(sql, address, id, version) > 0
    if (done) endCodes(id)
    return done
  }

  /** The name of a new session, for the cookie. */
  function begin(user: number): string {
    const name = randomBytes(32).toString('base64url')
    change('insert into sessions values (?, ?, ?)', hidden(name), user, Date.now() + sessionMs)
    return name
  }

  function userOf(session: string): User | undefined {
    const sql =
      'select users.* from sessions join users on users.id = user where sessions.id = ? and ends > ?'
    return rowOf<User>(sql, hidden(session), Date.now())
  }

  const end = (session: string) => change('delete from sessions where id = ?', hidden(session))

  /** True for the first who brings this link. */
  const useLink = (id: string, expires: Date) =>
    change('insert or ignore into used_links values (?, ?)', id, expires.getTime()) > 0

  /** Six digits, good in the browser that holds `asked` only. One is made for nobody as well: it can never be typed. */
  function makeCode(asked: string, user: number | undefined): string {
    const code = String(randomInt(1_000_000)).padStart(6, '0')
    const values = [
      hidden(asked),
      user ?? null,
      hidden(asked + code),
      codeTries,
      Date.now() + codeMs,
    ] as const
    change('insert or replace into codes values (?, ?, ?, ?, ?)', ...values)
    return code
  }

  /** Whose code it is; each question costs a try, and the right one ends the code. */
  function takeCode(asked: string, code: string): User | undefined {
    const sql =
      'update codes set tries = tries - 1 where id = ? and tries > 0 and ends > ? returning user, hash'
    const row = rowOf<Code>(sql, hidden(asked), Date.now())
    if (!row || !timingSafeEqual(Buffer.from(row.hash), Buffer.from(hidden(asked + code)))) return undefined
    change('delete from codes where id = ?', hidden(asked))
    return row.user === null ? undefined : userBy(row.user)
  }

  /** Whose mail it is. Events about it may have come before. */
  const noteMail = ({ id, user, address, sent, isLost }: SentMail) =>
    change(
      `insert into mails values (?, ?, ?, ?, 0, ?, ?) on conflict (id) do update
       set user = excluded.user, address = excluded.address, sent = excluded.sent`,
      ...([id, user, address, sent, isLost ? 1 : 0, sent + mailMs] as const),
    )

  /** The event with the largest sequence stands, in whatever order they come, and however often. */
  const noteEvent = (id: string, sequence: number, isLost: boolean) =>
    change(
      `insert into mails values (?, null, null, 0, ?, ?, ?) on conflict (id) do update
       set sequence = excluded.sequence, lost = excluded.lost where excluded.sequence > sequence`,
      ...([id, sequence, isLost ? 1 : 0, Date.now() + mailMs] as const),
    )

  /** Did the newest mail to the address that the user has now not arrive? */
  function isUnreachable({ id, address }: User): boolean {
    const sql = 'select lost from mails where user = ? and address = ? order by sent desc limit 1'
    return rowOf<{ lost: 0 | 1 }>(sql, id, address)?.lost === 1
  }

  /** Counts one more; false when that was too often within the window. */
  function mayGoOn(key: string, max: number, windowMs: number): boolean {
    const now = Date.now()
    const row = rowOf<{ n: number }>(
      `insert into limits values (?1, 1, ?2) on conflict (key) do update
       set n = iif(ends > ?3, n + 1, 1), ends = iif(ends > ?3, ends, ?2) returning n`,
      hidden(key),
      now + windowMs,
      now,
    )
    return (row?.n ?? 0) <= max
  }

  function forget(): void {
    for (const table of ['sessions', 'used_links', 'codes', 'mails', 'limits'])
      change(`delete from ${table} where ends < ?`, Date.now())
  }

  function close(): void {
    clearInterval(sweeper)
    db.close()
  }

  return {
    userAt,
    userBy,
    register,
    confirm,
    setPassword,
    setAddress,
    begin,
    userOf,
    end,
    useLink,
    makeCode,
    takeCode,
    noteMail,
    noteEvent,
    isUnreachable,
    mayGoOn,
    close,
  }
}
