/** Owns the reading of nodemailer's SMTP errors: what they say about the relay, and what about the message. */
import { enhancedCodeOf, type Stage, subjectOf } from './smtp-subject.ts'
import { isSystemCode, type RelayReason, type SystemCode } from '../message.ts'

/** The fields of nodemailer's errors we read. `code` alone does not tell: EENVELOPE is 450 and 550 alike. */
export interface SmtpError extends Error {
  code?: string | undefined
  originalCode?: string | undefined
  command?: string | undefined
  /** The relay's own words, which quote addresses. */
  response?: string | undefined
  responseCode?: number | undefined
}

/** Why a relay did not take a mail, in words fit for a log. */
export interface Trouble {
  readonly reason: RelayReason
  readonly reply?: number | undefined
  readonly enhanced?: string | undefined
  readonly cause?: SystemCode | undefined
}

/** RFC 4954: these say "log in first", wherever they come. */
const loginReplies = new Set([530, 534, 535, 538])

/**
 * The relay's own answer to the message, when there was a complete one (RFC 5321 4.2.1: 4yz or 5yz);
 * `undefined` when the connection failed instead.
 */
export function replyTo(error: SmtpError): { outcome: 'refused' | 'deferred'; trouble: Trouble } | undefined {
  const reply = error.responseCode
  if (reply === undefined || reply < 400 || reply > 599) return undefined
  if (loginReplies.has(reply)) return { outcome: 'deferred', trouble: { reason: 'login', reply } }
  const { command, response = '' } = error
  if (!isStage(command)) return { outcome: 'deferred', trouble: { reason: 'closing', reply } }
  const enhanced = enhancedCodeOf(response)
  const reason = subjectOf(response, command)
  const trouble = { reason, reply, ...(enhanced !== undefined && { enhanced }) }
  return { outcome: reply < 500 || reason === 'login' ? 'deferred' : 'refused', trouble }
}

function isStage(command: string | undefined): command is Stage {
  return command === 'MAIL FROM' || command === 'RCPT TO' || command === 'DATA'
}

/** Why there is no connection, or none any more. */
export function connectionTrouble(error: SmtpError): Trouble {
  return { reason: connectionReason(error), reply: error.responseCode, cause: causeOf(error) }
}

function connectionReason(error: SmtpError): RelayReason {
  const reason = reasonOf(causeOf(error) ?? '')
  if (error.code === 'EAUTH') return 'login'
  if (error.code === 'ETLS' || reason === 'tls') return 'tls'
  if (error.code === 'EDNS') return 'dns'
  if (error.code === 'ETIMEDOUT') return 'timeout'
  // an answer to a mail that is none: neither 2yz nor 4yz nor 5yz
  if (error.code === 'EENVELOPE' || error.code === 'EMESSAGE') return 'protocol'
  if (error.responseCode !== undefined) return 'greeting'
  return error.code === 'EPROTOCOL' ? 'protocol' : 'connect'
}

/** What a code of the system or of TLS says about a connection. */
export function reasonOf(cause: string): RelayReason {
  if (/CERT|TLS|SSL|SIGN|^EPROTO$/.test(cause)) return 'tls'
  if (cause === 'ENOTFOUND' || cause === 'EAI_AGAIN') return 'dns'
  if (cause.startsWith('HPE_')) return 'protocol'
  return cause === 'ETIMEDOUT' ? 'timeout' : 'connect'
}

export function causeOf(error: SmtpError): SystemCode | undefined {
  const code = error.originalCode ?? error.code
  return isSystemCode(code) ? code : undefined
}
