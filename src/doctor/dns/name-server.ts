/** Owns the questions to DNS: which server is asked, for how long, and what is said when it does not answer. */
import { Resolver } from 'node:dns/promises'
import { CheckStopped, codeOf } from '../finding.ts'

export interface NameServer {
  /** The TXT records, each joined from its strings; none when there is no such name or record. */
  txt(name: string): Promise<string[]>
  mx(name: string): Promise<{ exchange: string; priority: number }[]>
  /** IPv4 and IPv6. */
  addresses(name: string): Promise<string[]>
}

const absent = new Set(['ENOTFOUND', 'ENODATA'])

/**
 * `server` as `192.0.2.1`, `192.0.2.1:53` or `[2001:db8::1]:53`; without it the system's. A question throws
 * `CheckStopped` when the server does not answer within `answerMs`, nor when it is asked again. Throws at once when
 * `server` is no address.
 */
export function nameServer(server: string | undefined, signal: AbortSignal, answerMs = 1500): NameServer {
  const resolver = new Resolver({ timeout: answerMs, tries: 2 })
  if (server !== undefined) resolver.setServers([server])
  signal.addEventListener('abort', () => resolver.cancel(), { once: true })

  async function ask<T>(question: Promise<T[]>, name: string): Promise<T[]> {
    try {
      return await question
    } catch (error) {
      const code = codeOf(error)
      if (absent.has(code)) return []
      throw new CheckStopped(
        `DNS has no answer about ${name} (${code})`,
        server === undefined
          ? 'Check the DNS servers of this machine, or ask another one: --dns 9.9.9.9'
          : `Check that ${server} answers to this machine.`,
      )
    }
  }

  return {
    txt: async (name) => (await ask(resolver.resolveTxt(name), name)).map((strings) => strings.join('')),
    mx: (name) => ask(resolver.resolveMx(name), name),
    async addresses(name) {
      const both = await Promise.all([ask(resolver.resolve4(name), name), ask(resolver.resolve6(name), name)])
      return both.flat()
    },
  }
}
