/** Owns a throw-away certificate authority for tests that speak real TLS between real programs. Needs openssl. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

export interface Certificate {
  readonly keyFile: string
  readonly certFile: string
  readonly key: string
  readonly cert: string
}

export interface Authority {
  /** The authority's own certificate, for `NODE_EXTRA_CA_CERTS` and `curl --cacert`. */
  readonly caFile: string
  /** A certificate for one host name, valid for two days. */
  certify(host: string): Promise<Certificate>
}

/** Makes the authority in `folder`, which must exist and outlive it. */
export async function startAuthority(folder: string): Promise<Authority> {
  const caFile = join(folder, 'ca.pem')
  const caKeyFile = join(folder, 'ca.key')
  await run('openssl', [
    ...['req', '-x509', ...newKey, '-days', '2', '-subj', '/CN=jwt-mailer test authority'],
    ...['-keyout', caKeyFile, '-out', caFile],
  ])

  async function certify(host: string): Promise<Certificate> {
    const [keyFile, certFile] = [join(folder, `${host}.key`), join(folder, `${host}.pem`)]
    await run('openssl', [
      ...['req', '-x509', ...newKey, '-days', '2', '-subj', `/CN=${host}`, '-CA', caFile, '-CAkey', caKeyFile],
      ...['-addext', `subjectAltName=DNS:${host}`, '-addext', 'basicConstraints=critical,CA:FALSE'],
      ...['-keyout', keyFile, '-out', certFile],
    ])
    return { keyFile, certFile, key: await readFile(keyFile, 'utf8'), cert: await readFile(certFile, 'utf8') }
  }

  return { caFile, certify }
}
