/** Owns the check of feedback: which relays may report what became of a mail, whether their reports can be told apart, and which addresses are suppressed for it. No network. */
import { feedbackVariables } from '../config/feedback.ts'
import { type FeedbackSettings, type ReportingRelay, reportingRelays } from '../feedback-source.ts'
import type { RelayConfig } from '../relay-config.ts'
import { about, type Finding } from './finding.ts'

export interface FeedbackToExamine {
  readonly feedback: readonly FeedbackSettings[]
  readonly suppression: 'app' | 'all' | undefined
  readonly relays: readonly RelayConfig[]
}

export function examineFeedback({ feedback, suppression, relays }: FeedbackToExamine): Finding[] {
  const { ok, warn } = about('feedback')
  const silent = relays.filter(({ kind }) => kind === 'smtp').map(({ name }) => name)
  const reports = reportingRelays.flatMap((relay) => {
    const takes = feedback.some((settings) => settings.relay === relay)
    const config = relays.find(({ kind }) => kind === relay)
    if (takes) return [ok(`/feedback/${relay} takes what it reports`), ...tagTrouble(relay, config)]
    return config ? [ok(`${relay} could report what becomes of a mail: set ${feedbackVariables[relay]}`)] : []
  })
  const isSilent = silent.length > 0 && reports.length > 0
  return [
    ...reports,
    ...(isSilent
      ? [ok(`${silent.join(', ')}: mails by SMTP; MailerToGo and plain SMTP send no feedback`)]
      : []),
    suppressionFinding(),
  ]

  function suppressionFinding(): Finding {
    if (feedback.length === 0 && suppression === undefined)
      return ok('no relay may report, so no bounce is heard of and no address is suppressed')
    if (feedback.length === 0)
      return ok(
        `SUPPRESSION=${suppression}, but no relay may report: what operators put on the list is suppressed, and no bounce`,
      )
    if (suppression === undefined)
      return ok('SUPPRESSION=off: reports are noted, and addresses that bounced are mailed all the same')
    return ok(
      suppression === 'app'
        ? 'a hard bounce suppresses its address for the app whose mail it was (SUPPRESSION=app)'
        : 'a hard bounce suppresses its address for all apps (SUPPRESSION=all)',
    )
  }

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
