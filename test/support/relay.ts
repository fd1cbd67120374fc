/** A relay that follows a script: what it says, or does, at each SMTP command. Plain `net`, so that it can misbehave. */
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { portOf } from './port.ts'

/** A reply line, or what to do instead of replying; `swallow` takes the message and cuts the connection without a word. */
export type Act = 'close' | 'reset' | 'hang' | 'swallow' | (string & {})
/** `body` is the first line of the message, `dot` its end, `DATA` the command. Called with how often this stage has been reached, from 1. */
export type Script = Partial<Record<Stage, (count: number) => Act | Promise<Act>>>
export type Stage = 'connect' | 'EHLO' | 'AUTH' | 'MAIL' | 'RCPT' | 'DATA' | 'body' | 'dot' | 'RSET' | 'QUIT'

export interface ScriptedRelay {
  readonly port: number
  /** Messages that were answered 2xx, and every RCPT TO line that was heard. */
  readonly mails: { recipients: string[]; source: string }[]
  readonly commands: string[]
  readonly connections: () => number
  /** Connections that are open now. */
  readonly open: () => number
  /** Ends every connection as a relay does that has waited long enough. */
  readonly hangUp: () => void
  /** Writes to every connection what no command has asked for. */
  readonly say: (bytes: string) => void
  close(): Promise<void>
}

const usual: Record<Exclude<Stage, 'body'>, string> = {
  connect: '220 relay.test ESMTP',
  EHLO: '250-relay.test\r\n250-PIPELINING\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME',
  AUTH: '235 welcome',
  MAIL: '250 sender ok',
  RCPT: '250 recipient ok',
  DATA: '354 go ahead',
  dot: '250 taken',
  RSET: '250 reset',
  QUIT: '221 bye',
}

export async function scriptedRelay(script: Script = {}, port = 0): Promise<ScriptedRelay> {
  const counts = new Map<Stage, number>()
  const mails: ScriptedRelay['mails'] = []
  const commands: string[] = []
  const sockets = new Set<Socket>()
  let connections = 0

  const server: Server = createServer((socket) => {
    connections++
    socket.setNoDelay(true)
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    let recipients: string[] = []
    let source: string | undefined
    /** Lost in the middle of a message: what still comes is not read. */
    let gone = false
    let buffer = ''
    let turn = Promise.resolve()

    const act = async (stage: Stage): Promise<boolean> => {
      const count = (counts.get(stage) ?? 0) + 1
      counts.set(stage, count)
      const scripted = await script[stage]?.(count)
      if (stage === 'body' && scripted === undefined) return true
      const answer =
        scripted ??
        (stage === 'DATA' && recipients.length === 0 ? '554 nobody' : usual[stage === 'body' ? 'dot' : stage])
      if (answer === 'close') socket.end()
      else if (answer === 'reset' || answer === 'swallow') {
        socket.resetAndDestroy()
        return answer === 'swallow'
      } else if (answer !== 'hang') {
        socket.write(`${answer}\r\n`)
        return (stage === 'dot' ? /^2/ : /^[23]/).test(answer)
      }
      return false
    }
    const hear = async (line: string): Promise<void> => {
      if (gone) return
      if (source !== undefined) {
        if (source === '' && !(await act('body'))) gone = true
        if (gone) return
        if (line !== '.') {
          source += `${line.startsWith('.') ? line.slice(1) : line}\r\n`
          return
        }
        const mail = { recipients, source }
        source = undefined
        recipients = []
        if (await act('dot')) mails.push(mail)
        return
      }
      commands.push(line)
      const stage = line.slice(0, 4).toUpperCase() as Stage
      const good = await act(stage)
      if (stage === 'RCPT' && good) recipients.push(line)
      if (stage === 'DATA' && good) source = ''
      if (stage === 'RSET') recipients = []
      if (stage === 'QUIT') socket.end()
    }
    socket.on('data', (chunk) => {
      buffer += chunk.toString('latin1')
      const lines = buffer.split('\r\n')
      buffer = lines.pop() ?? ''
      for (const line of lines) turn = turn.then(() => hear(line))
    })
    turn = turn.then(async () => void (await act('connect')))
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: portOf(server),
    mails,
    commands,
    connections: () => connections,
    open: () => sockets.size,
    hangUp: () => {
      for (const socket of sockets) socket.end()
    },
    say: (bytes) => {
      for (const socket of sockets) socket.write(bytes)
    },
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resolve())
      }),
  }
}
