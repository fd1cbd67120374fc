/** Owns how reports of relays reach the store: each finds its mail by the id of the message. */
import type { CalledApps } from '../event.ts'
import type { Report } from '../feedback.ts'
import type { NotedReport, Outbox } from './api.ts'
import { mailOfMessage } from './mail-id.ts'
import type { OperationQueues } from './operation-queues.ts'
import type { SuppressionScope } from './store/operation.ts'
import { suppressedMs } from './suppression.ts'

const maxReports = 32

export function feedbackNotes(
  rowsOf: OperationQueues['rowsOf'],
  clock: () => number,
  suppression: SuppressionScope | null,
  calledApps: () => CalledApps | undefined,
): Outbox['noteFeedback'] {
  async function noteFeedback(reports: readonly Report[]): Promise<NotedReport[]> {
    const noted: NotedReport[] = []
    // Page by page, so that mails find their place between the pages of a large report.
    for (let from = 0; from < reports.length; from += maxReports)
      noted.push(...(await notePage(reports.slice(from, from + maxReports))))
    return noted
  }

  async function notePage(reports: readonly Report[]): Promise<NotedReport[]> {
    const now = Math.round(clock())
    const terms = { now, scope: suppression, suppressUntil: now + suppressedMs, calledApps: calledApps() }
    return Promise.all(
      reports.map(async ({ messageId, feedback }) => {
        const mail = mailOfMessage(messageId)
        if (mail === undefined) return { id: messageId, feedback, changed: false }
        const [row] = await rowsOf({ op: 'feedback', ...mail, feedback, ...terms })
        if (row === undefined) return { id: mail.id, feedback, changed: false }
        return { id: mail.id, feedback, changed: true, app: String(row['app']), kind: String(row['kind']) }
      }),
    )
  }

  return noteFeedback
}
