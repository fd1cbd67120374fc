/** Owns a throw-away certificate authority for tests in which real programs speak real TLS. Needs openssl. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

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
  await makeCertificate('-subj /O=jwt-mailer-tests', '-keyout', caKeyFile, '-out', caFile)

  async function certify(host: string): Promise<Certificate> {
    const keyFile = join(folder, `${host}.key`)
    const certFile = join(folder, `${host}.pem`)
    const options = `-subj /CN=${host} -addext subjectAltName=DNS:${host} -addext basicConstraints=critical,CA:FALSE`
    await makeCertificate(options, '-CA', caFile, '-CAkey', caKeyFile, '-keyout', keyFile, '-out', certFile)
    return { keyFile, certFile, key: await readFile(keyFile, 'utf8'), cert: await readFile(certFile, 'utf8') }
  }

  return { caFile, certify }
}

/** `options` are split at spaces, `paths` are taken as they are. */
async function makeCertificate(options: string, ...paths: string[]): Promise<void> {
  const key = '-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
  await run('openssl', [...`req -x509 ${key} -days 2 ${options}`.split(' '), ...paths])
}
