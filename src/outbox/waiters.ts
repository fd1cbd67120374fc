/**
 * Owns waiting for the end of a mail that another request or another replica sends. A waiter is notified at once when
 * this process settles the mail; the store is polled for the settlements of other replicas.
 */
import { pause, within } from '../timers.ts'
import type { MailStatus } from './api.ts'

const pollMs = 250
const maxMails = 10_000
const stillSending: MailStatus = { state: 'sending', detail: null }

export interface Waiters {
  /** Answers every waiter of this mail. The status `sending` is ignored. */
  readonly notify: (id: string, status: MailStatus) => void
  /** The first status that is not `sending`; `sending` after `timeoutMs`, or at once when too many mails are waited for. */
  readonly wait: (id: string, timeoutMs: number) => Promise<MailStatus>
}

interface AwaitedMail {
  readonly status: Promise<MailStatus>
  finish(status: MailStatus): void
  waiters: number
}

/** `readStatus` reads a mail from the store; when it throws, the mail counts as `sending`. */
export function waiters(readStatus: (id: string) => Promise<MailStatus>): Waiters {
  const awaited = new Map<string, AwaitedMail>()

  function addMail(id: string): AwaitedMail {
    const finished = new AbortController()
    const { promise, resolve } = Promise.withResolvers<MailStatus>()
    const mail: AwaitedMail = {
      status: promise,
      waiters: 0,
      finish(status) {
        awaited.delete(id)
        finished.abort()
        resolve(status)
      },
    }
    awaited.set(id, mail)
    void poll(id, finished.signal)
    return mail
  }

  async function poll(id: string, finished: AbortSignal): Promise<void> {
    while (!finished.aborted) {
      notify(id, await readStatus(id).catch(() => stillSending))
      await pause(pollMs, finished)
    }
  }

  function notify(id: string, status: MailStatus): void {
    if (status.state !== 'sending') awaited.get(id)?.finish(status)
  }

  async function wait(id: string, timeoutMs: number): Promise<MailStatus> {
    const known = awaited.get(id)
    if (known === undefined && awaited.size >= maxMails) return stillSending
    const mail = known ?? addMail(id)
    mail.waiters += 1
    const status = (await within(timeoutMs, mail.status)) ?? stillSending
    mail.waiters -= 1
    // The last waiter that leaves ends the polling.
    if (mail.waiters === 0 && awaited.get(id) === mail) mail.finish(stillSending)
    return status
  }

  return { notify, wait }
}
