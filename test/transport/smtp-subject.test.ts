/** What providers say when they take no mail, word by word: who is asked next, what the caller hears, what the log says. */
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { RelayReason } from '../../src/message.ts'
import { type BuildMime, mimeBuilder } from '../../src/mime/mime.ts'
import { failover } from '../../src/transport/failover.ts'
import { smtpTransport } from '../../src/transport/smtp.ts'
import { type Stage, subjectOf } from '../../src/transport/smtp-subject.ts'
import { sampleMessage } from '../support/messages.ts'
import { scriptedRelay, type ScriptedRelay } from '../support/relay.ts'

/** Wherever it comes: of whom it speaks. At MAIL FROM the relay has heard of nobody but our sender. */
const anywhere: readonly (readonly [reply: string, RelayReason])[] = [
  ['550 5.1.1 The email account that you tried to reach does not exist', 'recipient'],
  [
    '550-5.1.1 The email account that you tried to reach does not exist. Please try\r\n550-5.1.1 double-checking\r\n550 5.1.1 https://support.google.com/mail/?p=NoSuchUser',
    'recipient',
  ],
  ['550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup', 'recipient'],
  ['550 5.4.1 Recipient address rejected: Access denied. AS(201806281)', 'recipient'],
  ['550 5.2.1 The email account that you tried to reach is disabled', 'recipient'],
  ['552 5.2.2 The email account that you tried to reach is over quota', 'recipient'],
  ['550 No such user here', 'recipient'],
  ['550 <ada@example.com>: Recipient address rejected: User unknown in virtual mailbox table', 'recipient'],
  ['550 5.7.1 User unknown', 'recipient'],
  [
    "554 delivery error: This user doesn't have an account (ada@example.com) mailbox unavailable",
    'recipient',
  ],
  ['550 Requested action not taken: mailbox unavailable', 'recipient'],
  ['550 mailbox full', 'recipient'],
  ['556 5.1.10 Domain does not accept mail (nullMX)', 'recipient'],
  [
    '554 Message rejected: Email address is not verified. The following identities failed the check in region EU-WEST-1: noreply@shop.example',
    'sender',
  ],
  ['554 Message rejected: this address is not verified', 'sender'],
  ['554 5.2.252 SendAsDenied; mailer@shop.example not allowed to send as noreply@shop.example', 'sender'],
  ['554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied', 'sender'],
  ['550 5.7.60 SMTP; Client does not have permissions to send as this sender', 'sender'],
  ['553 5.7.1 <noreply@shop.example>: Sender address rejected: not owned by user shop', 'sender'],
  ['550 The from address does not match a verified Sender Identity', 'sender'],
  ['501 5.1.7 Invalid address', 'sender'],
  ['550 5.1.8 Access denied, bad outbound sender', 'sender'],
  ['550 5.4.5 Daily user sending limit exceeded', 'quota'],
  [
    '550 user has exceeded its 24-hour sending limit. Messages to 250 recipients out of 250 allowed have been sent',
    'quota',
  ],
  ['554 Daily message quota exceeded', 'quota'],
  ['550 5.7.705 Access denied, tenant has exceeded threshold', 'quota'],
  ["550 5.7.232 Your message can't be sent because your trial tenant has exceeded its daily limit", 'quota'],
  ['554 Sending rate limit exceeded', 'quota'],
  ['451 Authentication failed: Maximum credits exceeded', 'quota'],
  ['550 Too many messages from your account today', 'quota'],
  ['554 5.7.1 <ada@example.com>: Relay access denied', 'relay_denied'],
  ['550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain', 'relay_denied'],
  ['550 5.7.64 TenantAttribution; Relay Access Denied', 'relay_denied'],
  ["553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", 'relay_denied'],
  ['550 Relaying denied', 'relay_denied'],
  ['551 user not local', 'relay_denied'],
  ['552 5.3.4 Message size exceeds fixed limit', 'size'],
  ['552 5.2.3 Message too large for the mailbox', 'size'],
  ['554 Message too big', 'size'],
  ['550 5.7.26 Your email has been blocked because the sender is unauthenticated', 'policy'],
  ['550 5.7.1 Message rejected due to content restrictions', 'policy'],
  ['550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP', 'policy'],
  ['554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org', 'policy'],
  ['554 Your account has been suspended', 'policy'],
  ['554 Message rejected as spam', 'policy'],
  ['571 Delivery not authorized', 'policy'],
  ['550 5.7.1', 'policy'],
  ['554 5.6.0 Corrupt message content', 'message'],
]

/** Where the words say nothing, the command does. */
const silent: readonly (readonly [reply: string, Stage, RelayReason])[] = [
  ['550 no', 'MAIL FROM', 'sender'],
  ['550 no', 'RCPT TO', 'recipient'],
  ['550', 'RCPT TO', 'recipient'],
  ['553 5.0.0', 'RCPT TO', 'recipient'],
  ['554 no', 'DATA', 'message'],
  ['554 spam', 'DATA', 'message'],
  ['552 no', 'MAIL FROM', 'size'],
  ['552 Requested mail action aborted: exceeded storage allocation', 'MAIL FROM', 'size'],
  ['552 no', 'RCPT TO', 'recipient'],
  ['552 no', 'DATA', 'size'],
  ['450 greylisted', 'RCPT TO', 'recipient'],
]

const stages: readonly Stage[] = ['MAIL FROM', 'RCPT TO', 'DATA']
const ours = new Set<RelayReason>(['sender', 'policy', 'quota', 'relay_denied', 'size'])
const atStage = (reason: RelayReason, stage: Stage) =>
  stage === 'MAIL FROM' && (reason === 'recipient' || reason === 'message') ? 'sender' : reason

test.each(anywhere)('%s', (reply, reason) => {
  const text = reply.replaceAll('\r\n', '\n')
  expect(stages.map((stage) => subjectOf(text, stage))).toEqual(stages.map((stage) => atStage(reason, stage)))
})

test.each(silent)('%s at %s', (reply, stage, reason) => expect(subjectOf(reply, stage)).toBe(reason))

test('an address that reads like a word of the relay says nothing', () => {
  for (const address of ['relay-denied@spam.example', 'policy.blocked@quota.example'])
    expect(subjectOf(`550 5.0.0 <${address}> no`, 'RCPT TO')).toBe('recipient')
})

// what looks again and again is not through in the time that a test has
test('a hostile reply costs no time', () => {
  const hostile = ['user ', 'exceed ', 'a@', '<', 'size ', 'not '].map(
    (word) => `550 ${word.repeat(400_000)}`,
  )
  for (const reply of hostile) expect(subjectOf(reply, 'RCPT TO')).toMatch(/^[a-z_]+$/)
})

describe('at a relay', () => {
  let buildMime: BuildMime
  const relays: ScriptedRelay[] = []
  beforeAll(async () => void (buildMime = await mimeBuilder()))
  afterEach(async () => void (await Promise.all(relays.splice(0).map((relay) => relay.close()))))

  async function relaysThatSay(...scripts: Parameters<typeof scriptedRelay>[0][]) {
    const started = await Promise.all(scripts.map((script) => scriptedRelay(script)))
    relays.push(...started)
    return failover(
      started.map(({ port }, index) =>
        smtpTransport({
          name: `r${index + 1}`,
          host: '127.0.0.1',
          port,
          tls: 'off',
          ehloName: 'a.example',
          buildMime,
        }),
      ),
    )
  }

  const commands = { 'MAIL FROM': ['MAIL'], 'RCPT TO': ['RCPT'], DATA: ['DATA', 'dot'] } as const
  const rows = anywhere
    .filter(([reply]) => reply.startsWith('5'))
    .flatMap(([reply, reason]) =>
      stages.flatMap((stage) =>
        commands[stage].map((command) => [command, reply, atStage(reason, stage)] as const),
      ),
    )

  test.each(rows)('%s: %s', async (command, reply, reason) => {
    const script = { [command]: () => reply }
    const enhanced = /^\d{3}[ -](5\.\d+\.\d+)/.exec(reply)?.[1]
    const facts = { reason, reply: Number(reply.slice(0, 3)), ...(enhanced && { enhanced }) }
    const alone = await relaysThatSay(script)
    expect(await alone.send(sampleMessage())).toEqual({ outcome: 'refused', relay: 'r1', ...facts })
    const both = await relaysThatSay(script, {})
    const receipt = await both.send(sampleMessage())
    const second = relays.at(-1)!
    if (ours.has(reason)) expect(receipt).toMatchObject({ outcome: 'sent', relay: 'r2' })
    else expect(receipt).toEqual({ outcome: 'refused', relay: 'r1', ...facts })
    expect(second.commands.filter((line) => line.startsWith('MAIL'))).toHaveLength(ours.has(reason) ? 1 : 0)
    await Promise.all([alone.close(), both.close()])
  })

  test('is refused when all of them refuse, and login is not a refusal', async () => {
    const all = await relaysThatSay({ dot: () => '554 this is spam' }, { RCPT: () => '550 5.4.5 limit' })
    expect(await all.send(sampleMessage())).toMatchObject({
      outcome: 'refused',
      relay: 'r2',
      reason: 'quota',
    })
    const shut = await relaysThatSay({ MAIL: () => '550 5.7.1 Authentication required' })
    expect(await shut.send(sampleMessage())).toMatchObject({ outcome: 'deferred', reason: 'login' })
    await Promise.all([all.close(), shut.close()])
  })
})
