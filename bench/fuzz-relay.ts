/** Owns the relay of the fuzz: it answers one mail in ten with 4yz, cuts connections, and counts what it has taken. */
import { type Act, scriptedRelay } from '../test/support/relay.ts'

export interface FuzzRelay {
  readonly port: number
  /** Trouble from now on, or none. */
  trouble(on: boolean): void
  /** Deliveries so far: for each recipient how often each Message-ID came. */
  taken(): ReadonlyMap<string, ReadonlyMap<string, number>>
  close(): Promise<void>
}

const gatherMs = 250

export async function fuzzRelay(): Promise<FuzzRelay> {
  let troubled = true
  const often = (share: number) => troubled && Math.random() < share
  const relay = await scriptedRelay({
    connect: () => (often(0.01) ? 'close' : '220 relay'),
    RCPT: () => (often(0.05) ? '450 later' : often(0.01) ? 'reset' : '250 ok'),
    dot: dotAct,
  })
  const taken = new Map<string, Map<string, number>>()
  // a message is large and there are many
  const gatherer = setInterval(gather, gatherMs)

  async function dotAct(): Promise<Act> {
    await new Promise((done) => setTimeout(done, Math.random() * 20))
    if (often(0.05)) return '451 later'
    if (often(0.02)) return 'reset'
    return often(0.02) ? 'swallow' : '250 ok'
  }

  function gather(): void {
    for (const { recipients, source } of relay.mails.splice(0)) {
      const recipient = /<(.*)>/.exec(recipients[0] ?? '')?.[1] ?? ''
      const messageId = /^Message-ID: *(\S+)/im.exec(source)?.[1] ?? ''
      const counts = taken.get(recipient) ?? new Map<string, number>()
      taken.set(recipient, counts.set(messageId, (counts.get(messageId) ?? 0) + 1))
    }
  }

  return {
    port: relay.port,
    trouble: (on) => void (troubled = on),
    taken() {
      gather()
      return taken
    },
    async close() {
      clearInterval(gatherer)
      await relay.close()
    },
  }
}
