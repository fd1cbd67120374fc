/** Owns what an app reads of an event. */
import type { EventType } from '../event.ts'

export interface ToldEvent {
  readonly type: EventType | 'webhook.test'
  readonly at: number
  readonly mail: string
  readonly app: string
  readonly kind: string
  readonly sequence: number
  readonly detail: string | null
}

/** Nothing in it says who the recipient is: the app knows that by the id it was answered. */
export function bodyOf({ type, at, mail: id, app, kind, sequence, detail }: ToldEvent): string {
  const why = detail === null ? {} : type === 'mail.bounced' ? { bounce: detail } : { reason: detail }
  return JSON.stringify({
    type,
    timestamp: new Date(at).toISOString(),
    data: { id, app, kind, sequence, ...why },
  })
}
