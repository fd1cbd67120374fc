/** Owns what a TLS connection and its certificate tell: who it is, who says so, and for how long. */
import type { PeerCertificate, TLSSocket } from 'node:tls'
import { about, Ailment, type Finding } from '../finding.ts'
import { placeOf, type SmtpRelay } from './operator-hints.ts'

const dayMs = 24 * 3600 * 1000
const soonDays = 21
const untrusted = new Set([
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
])

/** Throws an `Ailment` when the certificate is not one to trust: nothing may be said over that connection. */
export function examineCertificate(socket: TLSSocket, relay: SmtpRelay, now: number): Finding {
  const { ok, warn } = about(`relay ${relay.name}`)
  const certificate = socket.getPeerCertificate()
  // typed as an Error, in truth the code of one
  if (!socket.authorized) throw distrust(String(socket.authorizationError), certificate, relay, now)
  const days = Math.floor((Date.parse(certificate.valid_to) - now) / dayMs)
  const says = `${socket.getProtocol()}, certificate good for ${days} days more`
  if (days >= soonDays) return ok(says)
  return warn(says, 'Renew the certificate, or ask the operator of the relay whether that happens by itself.')
}

function distrust(code: string, certificate: PeerCertificate, relay: SmtpRelay, now: number): Ailment {
  const ask = 'Tell the operator of the relay; until then nothing is sent there.'
  if (code === 'CERT_HAS_EXPIRED') {
    const ago = Math.ceil((now - Date.parse(certificate.valid_to)) / dayMs)
    return new Ailment(`its certificate expired ${ago} days ago`, ask)
  }
  if (code === 'CERT_NOT_YET_VALID')
    return new Ailment('its certificate is not valid yet', 'Check the clock of this machine.')
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return new Ailment(
      `its certificate is for ${namesOf(certificate)}, not for ${relay.host}`,
      'Write the host name the certificate is for; if that surprises you, somebody may be in between.',
    )
  if (untrusted.has(code))
    return new Ailment(
      `its certificate is signed by nobody this machine trusts (${code})`,
      'A private authority is trusted by NODE_EXTRA_CA_CERTS=/path/to/ca.pem; a public relay must not need that.',
    )
  return new Ailment(`its certificate cannot be verified (${code})`, ask)
}

function namesOf({ subjectaltname, subject }: PeerCertificate): string {
  const names = subjectaltname ?? String(subject?.CN ?? 'nobody')
  return names
    .replace(/(?:DNS|IP Address):/g, '')
    .replace(/[^\x20-\x7e]/g, '')
    .slice(0, 100)
}

/** Why there is no TLS at all. */
export function tlsTrouble(relay: SmtpRelay, code: string): Ailment {
  const place = placeOf(relay)
  if (/PROTOCOL|VERSION/.test(code) && code !== 'ERR_SSL_WRONG_VERSION_NUMBER')
    return new Ailment(
      `${place} speaks only a TLS older than 1.2 (${code})`,
      'Use another relay, or have this one brought up to date; older TLS is not safe.',
    )
  if (code === 'SILENCE')
    return new Ailment(`${place} does not answer the TLS handshake`, 'Check the port: 465 begins with TLS.')
  return new Ailment(
    `the TLS handshake with ${place} fails (${code})`,
    'Check the port; if it is right, ask the operator of the relay.',
  )
}
