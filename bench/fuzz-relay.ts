/** Owns the relay of the fuzz: it answers one mail in ten with 4yz, cuts connections, and counts what it has taken. */
import { type Act, scriptedRelay } from '../test/support/relay.ts'

export interface FuzzRelay {
  readonly port: number
  /** Whether the relay refuses and cuts from now on. */
  setFaulty(faulty: boolean): void
  /** Deliveries so far: for each recipient how often each Message-ID came. */
  taken(): ReadonlyMap<string, ReadonlyMap<string, number>>
  close(): Promise<void>
}

const gatherMs = 250

export async function fuzzRelay(): Promise<FuzzRelay> {
  let faulty = true
  const often = (share: number) => faulty && Math.random() < share
  const relay = await scriptedRelay({
    connect: () => (often(0.01) ? 'close' : '220 relay'),
    RCPT: () => (often(0.05) ? '450 later' : often(0.01) ? 'reset' : '250 ok'),
    dot: dotAct,
  })
  const taken = new Map<string, Map<string, number>>()
  // keeps the counts and drops the messages, which are large
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
    setFaulty: (value) => void (faulty = value),
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
