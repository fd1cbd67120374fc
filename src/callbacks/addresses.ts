/**
 * Owns which addresses a receiver may have: public ones. The check is made where the connection is, of the very address
 * that is connected to, so that a name which changes its address in between gains nothing.
 */
import { lookup as systemLookup, type LookupAddress, type LookupOptions } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'

const refused = new BlockList()
for (const range of [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '168.63.129.16/32',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
])
  addRange(refused, range, 'ipv4')
// protocol assignments with Teredo, documentation, 6to4, documentation
for (const range of ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20']) addRange(refused, range, 'ipv6')

/** Outside are this machine, private and link-local addresses, multicast, and IPv4 written as IPv6. */
const global6 = new BlockList()
addRange(global6, '2000::/3', 'ipv6')

function addRange(list: BlockList, range: string, family: 'ipv4' | 'ipv6'): void {
  const [address = '', bits] = range.split('/')
  list.addSubnet(address, Number(bits), family)
}

export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 4) return !refused.check(address, 'ipv4')
  // a zone, as in fe80::1%eth0, belongs to a link
  if (isIP(address) !== 6 || address.includes('%')) return false
  return global6.check(address, 'ipv6') && !refused.check(address, 'ipv6')
}

/** An address without a name is not looked up. */
export function isPrivateLiteral({ hostname }: URL): boolean {
  const host = hostname.replace(/^\[|\]$/g, '')
  return isIP(host) !== 0 && !isPublicAddress(host)
}

export class PrivateAddressError extends Error {
  override readonly name = 'PrivateAddressError'
}

export type Resolve = (
  host: string,
  options: LookupOptions & { readonly all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void

/** Looks up as the system does; a name that has a private address among others is refused whole. */
export function publicLookup(resolve: Resolve = systemLookup): LookupFunction {
  return (host, options, callback) =>
    resolve(host, { ...options, all: true }, (error, addresses) => {
      const [first] = addresses ?? []
      if (error || first === undefined) return callback(error ?? new Error('no address'), [])
      if (addresses.some(({ address }) => !isPublicAddress(address)))
        return callback(new PrivateAddressError(), [])
      if (options.all) callback(null, addresses)
      else callback(null, first.address, first.family)
    })
}
