/** Owns the examination of a certificate: whether it is trusted, for which host it is, and for how long. */
import type { PeerCertificate, TLSSocket } from 'node:tls'
import { about, CheckStopped, type Finding } from '../finding.ts'
import { hostAndPort, type SmtpRelay } from './operator-hints.ts'

const dayMs = 24 * 3600 * 1000
const soonDays = 21
const untrusted = new Set([
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
])

/** Throws a `CheckStopped` when the certificate cannot be trusted: nothing may be sent over that connection. */
export function examineCertificate(socket: TLSSocket, relay: SmtpRelay, now: number): Finding {
  const { ok, warn } = about(`relay ${relay.name}`)
  const certificate = socket.getPeerCertificate()
  // its type says Error, but it is the error's code
  if (!socket.authorized) throw certificateTrouble(String(socket.authorizationError), certificate, relay, now)
  const days = Math.floor((Date.parse(certificate.valid_to) - now) / dayMs)
  const says = `${socket.getProtocol()}, certificate valid for ${days} more days`
  if (days >= soonDays) return ok(says)
  return warn(
    says,
    'Renew the certificate, or ask the operator of the relay whether it is renewed by itself.',
  )
}

function certificateTrouble(
  code: string,
  certificate: PeerCertificate,
  relay: SmtpRelay,
  now: number,
): CheckStopped {
  const ask = 'Tell the operator of the relay; until then nothing is sent there.'
  if (code === 'CERT_HAS_EXPIRED') {
    const ago = Math.ceil((now - Date.parse(certificate.valid_to)) / dayMs)
    return new CheckStopped(`its certificate expired ${ago} days ago`, ask)
  }
  if (code === 'CERT_NOT_YET_VALID')
    return new CheckStopped('its certificate is not valid yet', 'Check the clock of this machine.')
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return new CheckStopped(
      `its certificate is for ${namesOnCertificate(certificate)}, not for ${relay.host}`,
      'Write the host name the certificate is for. If you do not know that name, somebody may intercept the connection.',
    )
  if (untrusted.has(code))
    return new CheckStopped(
      `its certificate is signed by an authority this machine does not trust (${code})`,
      'A private authority is trusted by NODE_EXTRA_CA_CERTS=/path/to/ca.pem; a public relay must not need that.',
    )
  return new CheckStopped(`its certificate cannot be verified (${code})`, ask)
}

function namesOnCertificate({ subjectaltname, subject }: PeerCertificate): string {
  const names = subjectaltname ?? String(subject?.CN ?? 'no host')
  return names
    .replace(/(?:DNS|IP Address):/g, '')
    .replace(/[^\x20-\x7e]/g, '')
    .slice(0, 100)
}

/** Why there is no TLS at all. */
export function tlsTrouble(relay: SmtpRelay, code: string): CheckStopped {
  const place = hostAndPort(relay)
  if (/PROTOCOL|VERSION/.test(code) && code !== 'ERR_SSL_WRONG_VERSION_NUMBER')
    return new CheckStopped(
      `${place} speaks only a TLS older than 1.2 (${code})`,
      'Use another relay, or have this one brought up to date; older TLS is not safe.',
    )
  if (code === 'SILENCE')
    return new CheckStopped(
      `${place} does not answer the TLS handshake`,
      'Check the port: 465 begins with TLS.',
    )
  return new CheckStopped(
    `the TLS handshake with ${place} fails (${code})`,
    'Check the port; if it is right, ask the operator of the relay.',
  )
}
