/** Owns what the address of a Postgres says of TLS. */
import type { PoolConfig } from 'pg'

/**
 * Three of libpq's modes are distinguished: `disable` (also `allow`); `require` (also `prefer`), which encrypts without
 * verifying the certificate; `verify-full` (also `verify-ca`), which verifies it. Without `sslmode`: TLS on Heroku only.
 */
export function addressAndTls(
  address: string,
  onHeroku: boolean,
): Pick<PoolConfig, 'connectionString' | 'ssl'> {
  const url = new URL(address)
  const mode = url.searchParams.get('sslmode') ?? (onHeroku ? 'require' : 'disable')
  url.searchParams.delete('sslmode')
  const off = mode === 'disable' || mode === 'allow'
  return { connectionString: url.href, ssl: off ? false : { rejectUnauthorized: mode.startsWith('verify') } }
}
