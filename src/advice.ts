/**
 * Owns the sentences about reasons: what each word means to an operator, and what to do about it. The words themselves
 * are in message.ts and errors.ts, and a new one does not compile without its sentence.
 */
import { failures, isFailureCode } from './contract.ts'
import type { ClaimReason, Detail, FailureCode } from './errors.ts'
import type {
  FetchReason,
  RelayReason,
  RequestReason,
  StatusReason,
  StoreReason,
  SystemCode,
} from './message.ts'

/** Without the codes of systems, of which there is no list. */
type Words<R extends string> = Exclude<R, SystemCode | `sqlite_${number}`>

const relayAdvice: Record<RelayReason, string> = {
  accepted: 'The relay has taken the mail.',
  sender: 'The relay does not accept our sender: verify its domain there, or change MAIL_FROM.',
  recipient: 'The relay says that there is no such mailbox: probably the address was mistyped.',
  message: 'The relay refuses this mail for good. The log has its reply codes.',
  size: 'The mail is larger than this relay takes.',
  policy:
    'The relay blocks this mail: its content, our address, or SPF, DKIM and DMARC. Run jwt-mailer doctor.',
  quota: 'The account has sent all that it may for now: wait, raise the limit, or add a second relay.',
  relay_denied:
    'This login may not send to other domains: check user, port, and whether the account is a trial.',
  connect: 'The relay cannot be reached: check host and port. Many hosts block port 25.',
  dns: 'The name of the relay cannot be looked up: check how it is written, and the DNS of this machine.',
  tls: 'No TLS with the relay: its certificate is expired, of another host or of an unknown authority.',
  login: 'The relay refuses user or password.',
  login_not_offered: 'The relay offers no login here: check port and TLS.',
  greeting: 'The relay turns us away before the first word. It may block the address of this machine.',
  timeout: 'The relay did not answer in time.',
  protocol: 'The answer of the relay made no sense: is it a mail server?',
  unavailable: 'The relay says that it is not available just now.',
  too_many: 'The relay allows fewer connections at once: lower RELAY_CONNECTIONS.',
  queue_full: 'Too many mails wait for a connection: raise RELAY_CONNECTIONS, if the relay allows it.',
  queue_slow: 'The mail waited too long for a connection: raise RELAY_CONNECTIONS, or add a relay.',
  resting: 'The relay has asked to be left alone for a while.',
  busy: 'Every connection to the relay is in use, and the last one failed.',
  breaker_open: 'The relay has failed several times in a row and is left alone for up to a minute.',
  closing: 'The service was stopping; another try follows.',
}

const statusAdvice: Record<StatusReason, string> = {
  expired: 'Its link had died before any relay took it. The person has to ask for a new one.',
  undone: 'The mail is no longer stored.',
  handed_back: 'A replica stopped before it had tried the mail; another one tries it.',
  given_up: 'An operator has given it up.',
  erased: 'Everything about its address was erased.',
  unreadable: 'No secret opens it: was JWT_MAILER_SECRET changed without JWT_MAILER_SECRET_PREVIOUS?',
  bad_row: 'Its row in the database cannot be read. Somebody else has written it.',
  internal: 'A fault in this program. The line "bug" in the log names the place: please report it.',
  other: 'The log knows more.',
}

const storeAdvice: Record<Words<StoreReason>, string> = {
  starting: 'The service is opening the store.',
  closed: 'The service is stopping.',
  down: 'The store cannot be used. The service opens it again by itself as soon as that works.',
  busy: 'The store has too much to do.',
  timeout: 'The store did not answer in time: look at its disk and its load.',
  thread: 'The thread of the store has died, and is started again.',
  schema_newer: 'A newer version of this program has changed the store: start that version.',
  gone: 'The row was deleted in between.',
  unreachable: 'The database cannot be reached: is it running, and is DATABASE_URL right?',
  unknown: 'The store fails in a way of its own. The log knows more.',
  too_many: 'Too many writes wait for the store.',
  internal: statusAdvice.internal,
}

const fullDisk = 'The disk of the store is full.'
const noRight =
  'The service may not write where the store lies: compare its user with the owner of the files.'
const unknownName = 'The name of the database cannot be looked up: is DATABASE_URL right?'
/** The codes of systems and databases that an operator meets at night. */
const codeAdvice: Readonly<Record<string, string>> = {
  ECONNREFUSED: storeAdvice.unreachable,
  ECONNRESET: storeAdvice.unreachable,
  EHOSTUNREACH: storeAdvice.unreachable,
  ENETUNREACH: storeAdvice.unreachable,
  ETIMEDOUT: storeAdvice.unreachable,
  ENOTFOUND: unknownName,
  EAI_AGAIN: unknownName,
  ENOSPC: fullDisk,
  '53100': fullDisk,
  sqlite_13: fullDisk,
  EACCES: noRight,
  EROFS: noRight,
  sqlite_8: noRight,
  sqlite_11: 'The file of the store is damaged: stop the service and restore it from a backup.',
  '28P01': 'The database refuses user or password: compare DATABASE_URL.',
  '3D000': 'There is no such database: compare DATABASE_URL.',
  '53300': 'The database allows no more connections: raise max_connections, or run fewer replicas.',
  '57P03': 'The database is starting or stopping.',
}

const anyStoreAdvice: Readonly<Record<string, string>> = { ...storeAdvice, ...codeAdvice }

const requestAdvice: Record<RequestReason, string> = {
  size: 'The request is too large. Large tokens belong into the body of a POST.',
  header: 'The header of the token names what is not allowed, such as another algorithm.',
  payload: 'What the token says is no JSON object.',
  malformed: 'What came is no token. Is it complete?',
  exp: 'The token says no usable time as its exp.',
  nbf: 'The token says no usable time as its nbf.',
  iat: 'The token says no usable time as its iat. Check the clocks.',
  'no key': 'No key of the app fits the token.',
  'invalid signature': 'Signed with another secret: compare it on both sides.',
  'invalid algorithm': 'Signed with another algorithm than that of the key.',
  'jwt signature is required': 'The token is not signed.',
  'no bearer token': 'The request has no Authorization: Bearer.',
  'no signature': 'The request is not signed: is the secret set where it comes from?',
  audience: 'The token is meant for another service: compare its aud with JWT_MAILER_AUDIENCE.',
  stale: 'The request is too old, or was sent a second time. Check the clocks.',
  topic: 'It came from a topic that SES_FEEDBACK_TOPICS does not name.',
  certificate: 'The certificate of the signature is not one of Amazon SNS.',
  'admin token': 'A wrong admin token.',
  foreign_name: 'In development the service answers to names of this machine only.',
  host: 'The request names no host.',
  http: 'What came is not HTTP.',
  plain_http: 'It came without TLS and was sent on to https.',
  proxy_http: 'A proxy in front gets https and speaks plain http to the service: let it use https there too.',
  content_type: 'The body is of another type than application/json.',
  body: 'The body is not the JSON that is expected.',
  origin: 'A page of another site has asked.',
  prefetch: 'A program fetched the link before a person did. No mail is sent for that.',
}

const keySetAdvice: Record<Words<FetchReason>, string> = {
  timeout: 'The keys of the app did not come in time.',
  redirect: 'The address of the keys leads elsewhere; write the final one into JWT_MAILER_JWKS.',
  status: 'The address of the keys does not answer 200.',
  size: 'The key set is larger than 64 KiB.',
  body: 'What is at the address of the keys is no key set.',
  connect: 'The address of the keys cannot be reached.',
  unavailable: 'The address of the keys cannot be reached.',
  internal: statusAdvice.internal,
}

const claimAdvice: Record<ClaimReason, string> = {
  missing: 'A claim that the mail needs is missing in the token.',
  type: 'A claim of the token is of the wrong type.',
  length: 'A claim of the token is too long.',
  control: 'A claim of the token holds a control character.',
  address: 'The token does not hold one plain address.',
  key: 'The key in the token cannot be shown.',
  link: 'The app may not mail this link: compare it with link_origins of the app.',
  size: 'The claims make the mail too large.',
  time: 'A claim of the token is no time that can be meant.',
}

/** For words that an older or newer program, or another hand, has written: there is no sentence. */
const find = (advice: Readonly<Record<string, string>>, word: string) =>
  Object.hasOwn(advice, word) ? advice[word] : undefined

/** Why a mail stands as it does. `null` for a word that is none of ours. */
export function adviceOnMail(detail: string): string | null {
  const known = find(statusAdvice, detail) ?? find(relayAdvice, detail) ?? find(claimAdvice, detail)
  return known ?? (isFailureCode(detail) ? meaningOf(detail) : null)
}

export function adviceOnRelay(reason: RelayReason): string {
  return relayAdvice[reason]
}

/** What is not a word of ours is a code of the system or of the database. */
export function adviceOnStore(reason: Detail): string {
  return (
    find(anyStoreAdvice, reason) ??
    `The store fails with ${reason}: look it up in the manual of the database.`
  )
}

const adviceByCode: Partial<Record<FailureCode, Readonly<Record<string, string>>>> = {
  token_malformed: requestAdvice,
  token_signature: requestAdvice,
  bad_request: requestAdvice,
  too_large: requestAdvice,
  keys_unavailable: keySetAdvice,
  claims_invalid: claimAdvice,
  refused: { ...relayAdvice, ...statusAdvice },
  expired: statusAdvice,
  relay_unavailable: relayAdvice,
  store_unavailable: anyStoreAdvice,
  store_unknown: storeAdvice,
}

/** Why a request got no mail: by its reason, else by what its code means. */
export function adviceOnRefusal(code: FailureCode, reason: string): string {
  return find(adviceByCode[code] ?? {}, reason) ?? meaningOf(code)
}

function meaningOf(code: FailureCode): string {
  const { meaning } = failures[code]
  return `${meaning.slice(0, 1).toUpperCase()}${meaning.slice(1)}.`
}
