/** Owns the call of `webhook`: one test event, as the service would make it. */
import { randomUUID } from 'node:crypto'
import { type CallResult, receiver } from '../callbacks/call.ts'
import { bodyOf } from '../callbacks/event-body.ts'
import type { Config } from '../config/config.ts'
import { catalogueOptions, loadCatalogue } from '../mails/catalogue.ts'
import { CatalogueError } from '../mails/problem.ts'
import { CommandError } from './terminal.ts'
import { readOrComplain } from './with-outbox.ts'

export async function callForTest(env: NodeJS.ProcessEnv, app: string): Promise<CallResult> {
  const config = readOrComplain(env)
  const apps = appsIn(config)
  if (!apps.includes(app)) throw new CommandError(`there is no app ${app}; the apps are ${apps.join(', ')}`)
  const webhook = config.webhooks.webhookOf(app)
  if (!webhook)
    throw new CommandError(`the app ${app} has no webhook: set JWT_MAILER_WEBHOOK, or the app's own variable`)
  const now = Date.now()
  const id = `evt_test_${randomUUID()}`
  const body = bodyOf({
    type: 'webhook.test',
    at: now,
    mail: 'test',
    app,
    kind: 'test',
    sequence: now,
    detail: null,
  })
  const called = receiver(webhook)
  try {
    return await called.call({ id, now, body })
  } finally {
    called.close()
  }
}

function appsIn(config: Config): readonly string[] {
  try {
    return [...new Set(loadCatalogue(catalogueOptions(config)).mails.map(({ app }) => app))]
  } catch (error) {
    if (!(error instanceof CatalogueError)) throw error
    throw new CommandError('the mails do not compile: "jwt-mailer check" says why')
  }
}
