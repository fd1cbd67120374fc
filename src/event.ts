/** Owns the events that apps are called back for: their words, and which of them a report or an end of a mail is. */
import type { Feedback } from './feedback.ts'

export const eventTypes = [
  'mail.sent',
  'mail.delivered',
  'mail.bounced',
  'mail.complained',
  'mail.suppressed',
  'mail.dead',
] as const
export type EventType = (typeof eventTypes)[number]

/** The apps that are called back. */
export type CalledApps = 'all' | readonly string[]

export const isCalled = (apps: CalledApps | undefined, app: string) =>
  apps === 'all' || apps?.includes(app) === true

/** What is written of an event. `detail`: of a dead mail its reason, of a bounce its kind. */
export interface NewEvent {
  readonly id: string
  readonly mail: string
  readonly type: EventType
  readonly detail: string | null
  /** Written only if this is the mail's state since `now`. */
  readonly state: 'sent' | 'dead' | null
  readonly now: number
  /** When the last call is made. */
  readonly ends: number
}

/** Receivers that stay away for longer are not called again. */
export const calledForMs = 24 * 3_600_000

export interface EventOptions {
  readonly mail: string
  readonly type: EventType
  readonly now: number
  readonly detail?: string | null
  readonly state?: 'sent' | 'dead' | null
}

/** The id follows from the event, so that a repeated operation writes no second one. */
export function newEvent({ mail, type, now, detail = null, state = null }: EventOptions): NewEvent {
  const id = `evt_${type.slice(type.indexOf('.') + 1)}_${mail}_${now.toString(36)}`
  return { id, mail, type, detail, state, now, ends: now + calledForMs }
}

/** `delayed` is no event: an app could do nothing about it. */
export function eventOfFeedback(
  feedback: Feedback,
): { readonly type: EventType; readonly detail: string | null } | undefined {
  switch (feedback) {
    case 'delivered':
      return { type: 'mail.delivered', detail: null }
    case 'bounced_hard':
      return { type: 'mail.bounced', detail: 'hard' }
    case 'bounced_soft':
      return { type: 'mail.bounced', detail: 'soft' }
    case 'suppressed_by_relay':
      return { type: 'mail.suppressed', detail: null }
    case 'complained':
      return { type: 'mail.complained', detail: null }
    default:
      return undefined
  }
}
