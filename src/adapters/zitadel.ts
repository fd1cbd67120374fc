/** Owns Zitadel as a caller: its HTTP email provider, which of its events is which mail, and its own text in a neutral frame. */
import { createSecretKey } from 'node:crypto'
import { z } from 'zod'
import {
  type Adapter,
  type AdapterSettings,
  checkForeignLink,
  type ForeignMail,
  type ForeignRequest,
  readForeign,
} from '../adapter.ts'
import { checkTimedSignature } from '../signed-request.ts'

const text = z.string().nullish()
const messageSchema = z.object({
  contextInfo: z.object({ eventType: z.string(), recipientEmailAddress: z.string() }),
  templateData: z.object({
    title: text,
    preHeader: text,
    subject: text,
    greeting: text,
    text,
    url: text,
    buttonText: text,
  }),
  args: z
    .object({
      code: text,
      // its name for an OTP, with the first letter made small
      oTP: text,
      changeDate: text,
      /** In nanoseconds. */
      expiry: z.number().positive().max(3e17).nullish().catch(undefined),
    })
    .nullish(),
})
type Message = z.infer<typeof messageSchema>

const linkKinds = new Map([
  ['user.human.initialization.code.added', 'account-created'],
  ['user.human.email.code.added', 'confirmation'],
  ['user.human.password.code.added', 'reset'],
  ['user.human.invite.code.added', 'invite'],
])
const codeKinds = new Map([
  ['user.human.mfa.otp.email.code.added', 'mfa-code'],
  ['session.otp.email.challenged', 'mfa-code'],
])
const noticeKinds = new Map([['user.human.password.changed', 'password-changed']])

export function zitadelAdapter({ secrets, urls, ownTexts }: AdapterSettings): Adapter {
  const keys = secrets.map((secret) => createSecretKey(secret, 'utf8'))
  return {
    authorise: ({ headers, body, now }) => checkTimedSignature(headers['zitadel-signature'], body, keys, now),
    readMails: (body, request) => [readMail(readForeign(messageSchema, body), { urls, ownTexts }, request)],
    success: { status: 200, body: {} },
    answerFailure: ({ status, code, says }) => ({ status, body: { code, msg: says } }),
  }
}

function readMail(
  message: Message,
  { urls, ownTexts }: Pick<AdapterSettings, 'urls' | 'ownTexts'>,
  { now }: ForeignRequest,
): ForeignMail {
  const { eventType, recipientEmailAddress: to } = message.contextInfo
  const { code, oTP, changeDate, expiry } = message.args ?? {}
  const { url } = message.templateData
  const key = oTP || code || undefined
  const written = ownTexts
    ? undefined
    : (linkMail(eventType, key) ?? codeMail(eventType, key) ?? noticeMail(eventType))
  const { kind, claims } = written ?? ownText(message)
  const carried = [key, url].filter(Boolean)
  return {
    kind,
    claims: {
      ...claims,
      user_email: to,
      email_link: checkForeignLink(url, urls),
      email_link_exp: expiry ? Math.floor(now / 1000 + expiry / 1e9) : undefined,
    },
    // the date of the last change tells one notice from the next
    identity: [eventType, to, ...(carried.length > 0 ? carried : [changeDate, claims])],
    recurs: carried.length === 0 && !changeDate,
  }
}

type Written = Pick<ForeignMail, 'kind' | 'claims'> | undefined

/** A mail of one's own may declare `code` and show it beside the link. */
function linkMail(eventType: string, code: string | undefined): Written {
  const kind = linkKinds.get(eventType)
  return kind === undefined ? undefined : { kind, claims: { code } }
}

function codeMail(eventType: string, code: string | undefined): Written {
  const kind = codeKinds.get(eventType)
  return kind === undefined ? undefined : { kind, claims: { user_aut_key: code } }
}

function noticeMail(eventType: string): Written {
  const kind = noticeKinds.get(eventType)
  return kind === undefined ? undefined : { kind, claims: {} }
}

/** What Zitadel has written, in the user's language. Texts that it has not translated are names such as `InitCode.Footer`. */
function ownText({ templateData: data }: Message): Required<Pick<ForeignMail, 'kind' | 'claims'>> {
  const clean = (value: string | null | undefined) => {
    const line = value?.replaceAll(/\s+/g, ' ').trim()
    return line && !/^[A-Za-z]+\.[A-Za-z]+$/.test(line) ? line : undefined
  }
  const title = clean(data.title) ?? clean(data.subject)
  const claims = {
    message_subject: clean(data.subject) ?? title,
    message_preheader: clean(data.preHeader),
    message_title: title,
    message_greeting: clean(data.greeting),
    message_text: clean(data.text),
    message_button: clean(data.buttonText) ?? title,
  }
  return { kind: 'message', claims }
}
