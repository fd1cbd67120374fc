/** Owns the rule that production and a developer's inbox never share an outbox: each would handle the mails of the other. */
import { MailerError } from '../errors.ts'
import type { Outbox, OutboxUse } from './api.ts'
import { OutboxError } from './reconnect.ts'

const refusals: Readonly<Record<OutboxUse, string>> = {
  production:
    'Cannot start: this outbox holds mails of a development service with its inbox. ' +
    'Set DATA_DIR or DATABASE_URL to an outbox of its own for production, or delete this one.',
  inbox:
    'Cannot start: this outbox belongs to a production service, and the inbox here would catch its mails. ' +
    'Set DATA_DIR to another folder and remove DATABASE_URL, or configure a relay.',
}

/** Marks the outbox for this use. Throws `OutboxError`, a sentence for the operator, when it serves the other one. */
export async function reserveOutbox(outbox: Pick<Outbox, 'use'>, use: OutboxUse): Promise<void> {
  const uses = await outbox.use(use).catch((error: unknown) => {
    // while the store is unavailable the service starts, and refuses mails until it is back
    if (error instanceof MailerError) return []
    throw error
  })
  if (uses.some((other) => other !== use)) throw new OutboxError(refusals[use])
}
