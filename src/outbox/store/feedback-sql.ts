/** Owns the SQL of feedback: what stands for a mail after a relay has reported. */
import { feedbackWords, severityOf } from '../../feedback.ts'
import type { FeedbackOperation } from './operation.ts'
import { byId, json, statement, text, whole } from './rows.ts'
import type { Dialect } from './statement.ts'

/** A word that a newer program has written counts as nothing. */
const severity = (column: string) =>
  `case ${column} ${feedbackWords.map((word) => `when '${word}' then ${severityOf(word)}`).join(' ')} else -1 end`

export function feedbackSql({ each }: Dialect) {
  const note = `update outbox_mail set feedback = s.feedback, feedback_at = s.now
    from (select ${text('id')} as mail, ${whole('created')} as created, ${text('feedback')} as feedback,
      ${whole('now')} as now from ${each}) as s
    where outbox_mail.id = s.mail and outbox_mail.created = s.created
      and ${severity('s.feedback')} > ${severity('outbox_mail.feedback')}
    returning outbox_mail.id, outbox_mail.app, outbox_mail.kind, outbox_mail.created, outbox_mail.recipient,
      outbox_mail.relay, outbox_mail.feedback`
  return {
    /** Answers with the mails for which something changed. */
    note: (list: readonly FeedbackOperation[]) => statement(note, json(list.toSorted(byId))),
  }
}
