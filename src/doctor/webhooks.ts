/** Owns the check of callbacks: which apps are told what became of their mails. No network. */
import { strangeWebhooks, type Webhooks } from '../config/webhooks.ts'
import { about, type Finding } from './finding.ts'

export function examineWebhooks(
  { webhookOf, variables }: Pick<Webhooks, 'webhookOf' | 'variables'>,
  apps: readonly string[],
): Finding[] {
  const { ok, bad } = about('callbacks')
  const strange = strangeWebhooks(variables, apps)
  const called = apps.filter((app) => webhookOf(app))
  return [
    ...strange.map(({ variable, says, todo = '' }) => bad(`${variable}: ${says}`, todo)),
    ...(called.length > 0
      ? [ok(`called back: ${called.join(', ')}; try it with jwt-mailer webhook ${called[0]}`)]
      : []),
  ]
}
