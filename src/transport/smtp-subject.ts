/**
 * Owns the subject of an SMTP relay's refusal: whether it speaks of the recipient, of the message, or of our sender, our
 * account and the relay's own limits. The enhanced code decides where it is clear, then the words of the providers, then
 * the command that was answered; the command alone would blame the reader for what a relay says late.
 */
import type { RelayReason } from '../message.ts'

export type Stage = 'MAIL FROM' | 'RCPT TO' | 'DATA'

/** RFC 3463, and what Exchange Online adds to it. The first row that fits decides. */
const byCode: readonly (readonly [RegExp, RelayReason])[] = [
  [/^1\.[78]$/, 'sender'],
  [/^1\.(?:[1-69]|10)$/, 'recipient'],
  [/^2\.(?:1|2|4)$/, 'recipient'],
  [/^2\.252$/, 'sender'],
  [/^(?:2\.3|3\.4)$/, 'size'],
  [/^4\.5$/, 'quota'],
  [/^4\.(?:1|4|310)$/, 'recipient'],
  [/^6\./, 'message'],
  [/^7\.(?:54|64)$/, 'relay_denied'],
  [/^7\.60$/, 'sender'],
  [/^7\.(?:232|233|705)$/, 'quota'],
]

const words: readonly (readonly [RegExp, RelayReason])[] = [
  [
    /authenticat\w+ (?:is )?required|must (?:be |first )?authenticate|auth(?:enticate)? first|log ?in first/,
    'login',
  ],
  [
    /sendasdenied|send ?as|(?:not|n't) (?:allowed|permitted|authori[sz]ed) to (?:send|use).{0,20} (?:as|from|sender)|not (?:yet )?verified|unverified|verify your|sender identity|(?:sender|from)(?: address| domain)?(?: \S+)? (?:is )?(?:rejected|denied|refused|invalid|unknown|not found|does not exist|not (?:owned|allowed|valid|permitted|authori[sz]ed|match))|envelope from/,
    'sender',
  ],
  [
    /(?:user|recipient|mailbox) (?:is )?(?:over|exceeded|has exceeded) (?:its |the )?(?:storage )?quota|over ?quota|mailbox (?:is )?full|(?:not enough|insufficient) (?:disk |storage )/,
    'recipient',
  ],
  [
    /no such (?:user|mailbox|recipient|address|person)|(?:user|recipient|mailbox|account|address)(?: \S+)? (?:is )?(?:unknown|not found|unavailable|inactive|does(?: not|n't) exist)|unknown (?:user|recipient|mailbox|local)|invalid (?:recipient|mailbox)|(?:does(?: not|n't) exist|no mailbox) here/,
    'recipient',
  ],
  [
    /(?:daily|hourly|monthly|day|hour|month|24.?hour|send(?:ing)?|rate|account|user|message|plan)(?: \w+)? (?:limit|quota)|(?:limit|quota|allowance|credits?)(?: \w+){0,3} (?:exceeded|reached|used up)|exceed\w*(?: \w+){0,4} (?:limit|quota|rate)|too many (?:messages|mails|emails|e-mails|recipients)|maximum credits|throttl/,
    'quota',
  ],
  [
    /relay(?:ing)?\b.{0,30}(?:denied|not (?:permitted|allowed)|prohibited|refused|deny)|(?:unable|not (?:permitted|allowed|authori[sz]ed)|refuse|cannot|do not|don't|no) (?:to )?relay|rcpthosts/,
    'relay_denied',
  ],
  [
    /too (?:large|big|long)|(?:message|mail|maximum|max|fixed)\b.{0,20} size|size.{0,20} (?:limit|exceed)|exceed\w*.{0,20} size/,
    'size',
  ],
  [
    /polic(?:y|ies)|spam.|.spam|unsolicited|block|black ?list|banned|reputation|dmarc|\bspf\b|dkim|unauthenticated|suspicious|phish|virus|malware|abus|suspended|paused|disabled|deactivated|terminated|prohibited|not accepted from|access denied|denied by|content/,
    'policy',
  ],
]

const stages: Record<Stage, RelayReason> = { 'MAIL FROM': 'sender', 'RCPT TO': 'recipient', DATA: 'message' }
const longest = 2_000

/** `undefined` when the reply has none. */
export function enhancedCodeOf(response: string): string | undefined {
  return /^[245]\d\d[ -]#?([245]\.\d{1,3}\.\d{1,3})\b/.exec(response)?.[1]
}

/** `response` is the whole reply, its three digits included. */
export function subjectOf(response: string, stage: Stage): RelayReason {
  const reason = spokenSubject(response, stage)
  // at MAIL FROM the relay has heard no recipient and no message yet
  return stage === 'MAIL FROM' && (reason === 'recipient' || reason === 'message') ? 'sender' : reason
}

function spokenSubject(response: string, stage: Stage): RelayReason {
  const reply = response.slice(0, 3)
  const detail = enhancedCodeOf(response)?.slice(2) ?? /\(#?5\.(\d{1,3}\.\d{1,3})\)/.exec(response)?.[1] ?? ''
  const told = byCode.find(([code]) => code.test(detail))?.[1]
  if (told) return told
  // 552 is the only reply for size in RFC 5321, and at RCPT the one for a full mailbox
  const text = plainWords(response)
  const said = words.find(([pattern]) => pattern.test(text))?.[1]
  if (said) return said
  if (detail.startsWith('7.') || reply === '571') return 'policy'
  if (reply === '551') return 'relay_denied'
  if (reply === '552') return stage === 'RCPT TO' ? 'recipient' : 'size'
  return stages[stage]
}

/** Without addresses, whose words would be read as well, and without the codes at the beginning of each line. */
function plainWords(response: string): string {
  return response
    .slice(0, longest)
    .split('\n')
    .map((line) => line.replace(/^\d{3}[ -](?:#?\d\.\d{1,3}\.\d{1,3} )?/, ''))
    .join(' ')
    .replace(/<[^<>]*>|[^\s<>@]{1,256}@[^\s<>@]{1,256}/g, '')
    .replace(/ {2,}/g, ' ')
    .toLowerCase()
}
