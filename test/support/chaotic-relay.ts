/** A relay that goes wrong at random, in every stage and every way a broken or overloaded one does, and keeps honest books. */
import { createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { portOf } from './port.ts'

/** What became of one message at the relay. */
export interface Arrival {
  /** How often it came in as a whole, up to its final dot. */
  whole: number
  /** How often the relay said 250 to it, or meant to. */
  taken: number
}

export interface ChaoticRelay {
  readonly port: number
  /** By the first part of the Message-ID. */
  readonly arrivals: ReadonlyMap<string, Arrival>
  /** Connections that are open now, and all there have ever been. */
  readonly open: () => number
  readonly opened: () => number
  /** Messages that wait for their answer at the gate. */
  readonly held: () => number
  /** Nothing goes wrong from here on, or everything again. */
  setChaos(on: boolean): void
  /** No message is answered before the promise resolves. */
  hold(gate: Promise<unknown>): void
  close(): Promise<void>
}

const replies: Record<string, string> = {
  connect: '220 relay.test',
  AUTH: '235 welcome',
  DATA: '354 go ahead',
  QUIT: '221 bye',
}
/** Instead of the reply. */
const wrongReplies = [
  '421 busy',
  '451 later',
  '535 log in',
  '550 no',
  '250 out of turn',
  '99999 what',
  'nonsense',
]
const misfortunes = [
  'close',
  'reset',
  'hang',
  'late',
  'twice',
  'thrice',
  'then 421',
  'then close',
  ...wrongReplies,
]
const misfortuneChance = 0.06
const cutChance = 0.2

/** `random` decides everything, so that a seeded one makes the same misfortunes again (their timing stays the machine's). */
export async function chaoticRelay(random: () => number, maxLateMs: number): Promise<ChaoticRelay> {
  const arrivals = new Map<string, Arrival>()
  const sockets = new Set<Socket>()
  let chaos = true
  let opened = 0
  let held = 0
  let gate: Promise<unknown> | undefined
  const chance = (share: number) => chaos && random() < share
  const pick = (list: readonly string[]) => list[Math.floor(random() * list.length)] ?? ''

  const server = createServer((socket) => {
    opened++
    sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    let recipients = 0
    let source: string | undefined
    let deaf = false
    let buffer = ''
    let turn: Promise<unknown> = answer('connect')
    socket.on('data', (chunk) => {
      buffer += chunk.toString('latin1')
      const lines = buffer.split('\r\n')
      buffer = lines.pop() ?? ''
      for (const line of lines) turn = turn.then(() => hear(line))
    })

    async function hear(line: string): Promise<void> {
      if (deaf) return
      if (source === undefined) return hearCommand(line.slice(0, 4).toUpperCase())
      if (line !== '.') return void (source += `${line}\r\n`)
      const arrival = arrivalOf(source)
      source = undefined
      recipients = 0
      arrival.whole++
      held++
      await gate
      held--
      await answer('dot', arrival)
    }

    async function hearCommand(command: string): Promise<void> {
      if (command === 'DATA' && recipients === 0) return write('554 nobody')
      const good = await answer(command)
      if (command === 'RCPT' && good) recipients++
      if (command === 'DATA' && good) source = ''
      if (command === 'QUIT') socket.end()
    }

    /** Resolves with whether the command was taken. */
    async function answer(stage: string, arrival?: Arrival): Promise<boolean> {
      const misfortune = chance(misfortuneChance) ? pick(misfortunes) : ''
      if (wrongReplies.includes(misfortune)) {
        if (arrival && misfortune.startsWith('250')) arrival.taken++
        await write(misfortune)
        return false
      }
      if (misfortune === 'late') await sleep(random() * maxLateMs)
      if (arrival) arrival.taken++
      if (['close', 'reset', 'hang'].includes(misfortune)) {
        deaf = misfortune !== 'hang'
        if (misfortune === 'close') socket.end()
        if (misfortune === 'reset') socket.resetAndDestroy()
        return false
      }
      const reply = stage === 'EHLO' ? greetingOf(random() < 0.5) : (replies[stage] ?? '250 ok')
      const times = misfortune === 'twice' ? 2 : misfortune === 'thrice' ? 3 : 1
      const more = misfortune === 'then 421' ? ['421 good night'] : []
      await write([...Array<string>(times).fill(reply), ...more].join('\r\n'))
      if (misfortune.startsWith('then')) {
        deaf = true
        socket.end()
      }
      return true
    }

    /** In one packet, or cut in two anywhere. */
    async function write(reply: string): Promise<void> {
      const bytes = `${reply}\r\n`
      const cut = chance(cutChance) ? Math.floor(random() * bytes.length) : 0
      if (cut > 0) {
        socket.write(bytes.slice(0, cut))
        await sleep(1)
      }
      socket.write(bytes.slice(cut))
    }
  })

  function arrivalOf(source: string): Arrival {
    const id = /^Message-ID: <([^@]+)@/im.exec(source)?.[1] ?? 'without Message-ID'
    const arrival = arrivals.get(id) ?? { whole: 0, taken: 0 }
    arrivals.set(id, arrival)
    return arrival
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: portOf(server),
    arrivals,
    open: () => sockets.size,
    opened: () => opened,
    held: () => held,
    setChaos: (on) => void (chaos = on),
    hold: (until) => void (gate = until),
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resolve())
      }),
  }
}

function greetingOf(pipelining: boolean): string {
  return `250-relay.test\r\n${pipelining ? '250-PIPELINING\r\n' : ''}250 AUTH PLAIN`
}
