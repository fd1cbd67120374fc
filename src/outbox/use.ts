/** Owns the rule that production and a developer's inbox never share an outbox: each would handle the mails of the other. */
import { MailerError } from '../errors.ts'
import type { Outbox, OutboxUse } from './api.ts'
import { OutboxError } from './reconnect.ts'

/** Where the outbox is, and the variable that says so. Never an address that holds a password. */
export interface OutboxPlace {
  readonly name: string
  readonly variable: 'DATA_DIR' | 'DATABASE_URL'
}

const refusals: Readonly<Record<OutboxUse, (place: OutboxPlace) => string>> = {
  production: ({ name, variable }) =>
    `Cannot start: the outbox ${name} (${variable}) holds mails of a development service with its inbox. ` +
    `Set ${variable} to another one for production, or delete this one.`,
  inbox: ({ name, variable }) =>
    `Cannot start: the outbox ${name} (${variable}) belongs to a production service, and the inbox here would catch its mails. ` +
    `${variable === 'DATA_DIR' ? 'Set DATA_DIR to another folder' : 'Remove DATABASE_URL'}, or configure a relay.`,
}

/** Marks the outbox for this use. Throws `OutboxError`, a sentence for the operator, when it serves the other one. */
export async function reserveOutbox(
  outbox: Pick<Outbox, 'use'>,
  use: OutboxUse,
  place: OutboxPlace,
): Promise<void> {
  const uses = await outbox.use(use).catch((error: unknown) => {
    // while the store is unavailable the service starts, and refuses mails until it is back
    if (error instanceof MailerError) return []
    throw error
  })
  if (uses.some((other) => other !== use)) throw new OutboxError(refusals[use](place))
}
