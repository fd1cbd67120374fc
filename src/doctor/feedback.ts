/** Owns the check of feedback: which relays may report what became of a mail, and whether their reports can be told apart. No network. */
import { feedbackVariables } from '../config/feedback.ts'
import { type FeedbackSettings, type ReportingRelay, reportingRelays } from '../feedback-source.ts'
import type { RelayConfig } from '../relay-config.ts'
import { about, type Finding } from './finding.ts'

export function examineFeedback(
  feedback: readonly FeedbackSettings[],
  relays: readonly RelayConfig[],
): Finding[] {
  const { ok, warn } = about('feedback')
  const silent = relays.filter(({ kind }) => kind === 'smtp').map(({ name }) => name)
  const findings = reportingRelays.flatMap((relay) => {
    const takes = feedback.some((settings) => settings.relay === relay)
    const config = relays.find(({ kind }) => kind === relay)
    if (takes) return [ok(`/feedback/${relay} takes what it reports`), ...tagTrouble(relay, config)]
    return config ? [ok(`${relay} could report what becomes of a mail: set ${feedbackVariables[relay]}`)] : []
  })
  if (silent.length === 0 || findings.length === 0) return findings
  return [...findings, ok(`${silent.join(', ')}: mails by SMTP; MailerToGo and plain SMTP send no feedback`)]

  function tagTrouble(relay: ReportingRelay, config: RelayConfig | undefined): Finding[] {
    if (relay !== 'ses' || config?.kind !== 'ses' || config.configurationSet !== undefined) return []
    return [
      warn(
        'SES reports the id of a mail only with a configuration set',
        'Make one that publishes to the topic of SES_FEEDBACK_TOPICS, and name it in SES_CONFIGURATION_SET.',
      ),
    ]
  }
}
