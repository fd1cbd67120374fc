/** A small authoritative DNS server on a free UDP port of loopback: real wire format (RFC 1035), answers from a zone. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'

export interface Records {
  readonly A?: readonly string[]
  readonly AAAA?: readonly string[]
  readonly MX?: readonly (readonly [priority: number, exchange: string])[]
  readonly TXT?: readonly string[]
  readonly CNAME?: string
}

/** Names in lower case. `fails` answers SERVFAIL, `silent` not at all; a name that is not there, NXDOMAIN. */
export type Zone = Readonly<Record<string, Records | 'fails' | 'silent'>>

export interface DnsServer {
  /** `127.0.0.1:port` */
  readonly address: string
  /** Every question so far, as `TXT example.com`. */
  readonly questions: readonly string[]
  close(): Promise<void>
}

const types = { A: 1, CNAME: 5, MX: 15, TXT: 16, AAAA: 28 } as const
type Type = keyof typeof types
const [servFail, nxDomain] = [2, 3]

export async function startDns(zone: Zone): Promise<DnsServer> {
  const questions: string[] = []
  const socket = createSocket('udp4')
  socket.on('message', (query, { address, port }) => {
    const { name, type, end } = questionIn(query)
    questions.push(`${type ?? 'other'} ${name}`)
    const records = zone[name]
    if (records === 'silent') return
    socket.send(answerTo(query.subarray(0, end), name, type, records, zone), port, address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return {
    address: `127.0.0.1:${socket.address().port}`,
    questions,
    close: async () => {
      socket.close()
      await once(socket, 'close')
    },
  }
}

function questionIn(query: Buffer): { name: string; type: Type | undefined; end: number } {
  const labels: string[] = []
  let at = 12
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  const number = query.readUInt16BE(at + 1)
  const type = (Object.keys(types) as Type[]).find((one) => types[one] === number)
  return { name: labels.join('.').toLowerCase(), type, end: at + 5 }
}

function answerTo(
  question: Buffer,
  name: string,
  type: Type | undefined,
  records: Zone[string] | undefined,
  zone: Zone,
): Buffer {
  const answers = typeof records === 'object' ? resolve(name, type, zone) : []
  const code = records === 'fails' ? servFail : records === undefined ? nxDomain : 0
  const message = Buffer.concat([question, ...answers])
  // an answer, authoritative, recursion available as it was desired
  message.writeUInt16BE(0x8580 | code, 2)
  message.writeUInt16BE(1, 4)
  message.writeUInt16BE(answers.length, 6)
  message.writeUInt32BE(0, 8)
  return message
}

function resolve(name: string, type: Type | undefined, zone: Zone, depth = 0): Buffer[] {
  const records = zone[name]
  if (typeof records !== 'object' || type === undefined || depth > 5) return []
  if (records.CNAME !== undefined && type !== 'CNAME') {
    return [
      entry(name, 'CNAME', wireName(records.CNAME)),
      ...resolve(records.CNAME.toLowerCase(), type, zone, depth + 1),
    ]
  }
  return dataOf(records, type).map((data) => entry(name, type, data))
}

function dataOf(records: Records, type: Type): Buffer[] {
  if (type === 'A') return (records.A ?? []).map((address) => Buffer.from(address.split('.').map(Number)))
  if (type === 'AAAA') return (records.AAAA ?? []).map(ipv6)
  if (type === 'TXT') return (records.TXT ?? []).map(strings)
  if (type === 'MX')
    return (records.MX ?? []).map(([priority, exchange]) =>
      Buffer.concat([uint16(priority), wireName(exchange)]),
    )
  return records.CNAME === undefined ? [] : [wireName(records.CNAME)]
}

function entry(name: string, type: Type, data: Buffer): Buffer {
  const ttl = Buffer.alloc(4)
  return Buffer.concat([wireName(name), uint16(types[type]), uint16(1), ttl, uint16(data.length), data])
}

function wireName(name: string): Buffer {
  const labels = name.split('.').filter((label) => label !== '')
  return Buffer.concat([...labels.map(characterString), Buffer.of(0)])
}

function characterString(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1')
  return Buffer.concat([Buffer.of(bytes.length), bytes])
}

/** One string holds 255 bytes, so longer texts are several. */
function strings(text: string): Buffer {
  return Buffer.concat((text.match(/.{1,255}/g) ?? ['']).map(characterString))
}

function ipv6(address: string): Buffer {
  const [head = '', tail] = address.split('::')
  const groups = (text: string) => text.split(':').filter((group) => group !== '')
  const [before, after] = [groups(head), groups(tail ?? '')]
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0')
  return Buffer.concat([...before, ...zeros, ...after].map((group) => uint16(Number.parseInt(group, 16))))
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value)
  return bytes
}
