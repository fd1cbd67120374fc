/** Owns sender (b): nodemailer's own pool and composer, as its documentation shows it, without HTTP. */
import { readFileSync } from 'node:fs'
import { createTransport } from 'nodemailer'
import { takeOrders } from './drive.ts'
import { recipientOf } from './marker.ts'
import type { RelayTarget, Sample } from './sample.ts'

const target: RelayTarget = JSON.parse(process.argv[2] ?? '{}')
const sample: Sample = JSON.parse(readFileSync(target.sampleFile, 'utf8'))

const transport = createTransport({
  pool: true,
  maxConnections: target.connections,
  maxMessages: Number.POSITIVE_INFINITY,
  host: 'localhost',
  port: target.port,
  requireTLS: true,
  auth: { user: target.user, pass: target.password },
  tls: { ca: readFileSync(target.certFile) },
})

const { from, subject, text, html } = sample

takeOrders(async ({ tag, callers }) => {
  const send = async (seq: number) => {
    const to = { name: 'Ada', address: recipientOf(tag, seq) }
    try {
      await transport.sendMail({ from, to, subject, text, html })
      return true
    } catch {
      return false
    }
  }
  return { callers: Array.from({ length: callers }, () => send) }
})
