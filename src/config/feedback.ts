/** Owns the variables of feedback: which relays may report what became of a mail, and how each proves that it is itself. */
import { createPublicKey } from 'node:crypto'
import { type FeedbackSettings, type ReportingRelay, reportingRelays } from '../feedback-source.ts'
import { ConfigError, problemCollector } from './config-error.ts'
import type { Environment } from './environment.ts'
import { weaknessOf } from './key-strength.ts'

export const feedbackVariables = {
  sendgrid: 'SENDGRID_FEEDBACK_KEY',
  ses: 'SES_FEEDBACK_TOPICS',
  postmark: 'POSTMARK_FEEDBACK_LOGIN',
  mailgun: 'MAILGUN_FEEDBACK_KEY',
  resend: 'RESEND_FEEDBACK_SECRET',
  brevo: 'BREVO_FEEDBACK_LOGIN',
} as const satisfies Record<ReportingRelay, keyof Environment>

type FeedbackVariable = (typeof feedbackVariables)[ReportingRelay]

interface Proof {
  readonly isGood: (value: string) => boolean
  readonly says: string
  readonly todo: string
}

/** A login that can be guessed lets a stranger report that a person's address does not exist. */
const login: Proof = {
  isGood: (value) => /^[\x21-\x39\x3b-\x7e]{1,64}:[\x21-\x7e]{16,200}$/.test(value) && isStrong(value),
  says: 'must look like user:password, with a password of 16 characters or more that cannot be guessed',
  todo: 'A new password: openssl rand -hex 32',
}

const proofs: Record<ReportingRelay, Proof> = {
  sendgrid: {
    isGood: isPublicKey,
    says: 'must be the verification key of the Signed Event Webhook, in Base64',
    todo: 'Copy it from Settings, Mail Settings, Event Webhooks of SendGrid.',
  },
  ses: {
    isGood: (value) => /^arn:aws[a-z-]*:sns:[a-z0-9-]{1,30}:\d{12}:[\w-]{1,256}$/.test(value),
    says: 'must be the ARN of an SNS topic such as arn:aws:sns:eu-central-1:123456789012:mails, several with commas',
    todo: 'Copy it from the topic that your configuration set publishes to.',
  },
  postmark: login,
  mailgun: {
    isGood: (value) => /^[\x21-\x7e]{16,200}$/.test(value) && weaknessOf(value)?.isGuessable !== true,
    says: 'must be the HTTP webhook signing key',
    todo: 'Copy it from Sending, Webhooks of Mailgun; it is not the API key.',
  },
  resend: {
    isGood: (value) => /^whsec_[A-Za-z0-9+/]{32,}={0,2}$/.test(value),
    says: 'must look like whsec_<base64>',
    todo: 'Copy the signing secret from Webhooks of Resend.',
  },
  brevo: login,
}

/** Throws one `ConfigError` with everything that is wrong. */
export function readFeedback(values: Pick<Environment, FeedbackVariable>): FeedbackSettings[] {
  const { problems, collect } = problemCollector()
  const read = reportingRelays.flatMap((relay) => collect(() => readSettings(relay, values)) ?? [])
  if (problems.length > 0) throw new ConfigError(...problems)
  return read
}

function readSettings(
  relay: ReportingRelay,
  values: Pick<Environment, FeedbackVariable>,
): FeedbackSettings[] {
  const variable = feedbackVariables[relay]
  const value = values[variable]
  if (value === undefined) return []
  const written = relay === 'ses' ? value.split(',').map((topic) => topic.trim()) : [value]
  const { isGood, says, todo } = proofs[relay]
  if (!written.every(isGood)) throw new ConfigError({ variable, says, todo })
  return [{ relay, proofs: written }]
}

function isStrong(value: string): boolean {
  return weaknessOf(value.slice(value.indexOf(':') + 1))?.isGuessable !== true
}

function isPublicKey(value: string): boolean {
  try {
    const key = createPublicKey({ key: Buffer.from(value, 'base64'), format: 'der', type: 'spki' })
    return key.asymmetricKeyType === 'ec'
  } catch {
    return false
  }
}
