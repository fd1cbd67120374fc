/** Owns the sink's certificate: for localhost, signed by itself, valid for two days, made by the openssl program. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

export interface Certificate {
  readonly keyFile: string
  readonly certFile: string
}

/** Writes a key and a certificate into `dir`. Throws when there is no openssl. */
export function makeCertificate(dir: string): Certificate {
  const keyFile = join(dir, 'sink.key')
  const certFile = join(dir, 'sink.pem')
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile]
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
  execFileSync('openssl', ['req', '-x509', '-days', '2', ...key, ...names, '-out', certFile], {
    stdio: 'pipe',
  })
  return { keyFile, certFile }
}
