import { describe, expect, test } from 'vitest'
import {
  isPrivateLiteral,
  isPublicAddress,
  publicLookup,
  type Resolve,
} from '../../src/callbacks/addresses.ts'

describe('an address of a receiver', () => {
  test.each([
    '1.1.1.1',
    '9.255.255.255',
    '11.0.0.1',
    '172.15.0.1',
    '172.32.0.1',
    '192.169.0.1',
    '223.255.255.255',
  ])('%s is public', (address) => expect(isPublicAddress(address)).toBe(true))
  test.each(['2606:4700::1111', '2a00:1450:4001::1', '2400:cb00::1'])('%s is public', (address) =>
    expect(isPublicAddress(address)).toBe(true),
  )
  test.each([
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '100.127.255.255',
    '127.0.0.1',
    '127.255.0.9',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.8',
    '192.168.1.1',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    'fe80::1',
    'fe80::1%eth0',
    'fc00::1',
    'fd12:3456::1',
    'ff02::1',
    'fec0::1',
    'fd00:ec2::254',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::ffff:8.8.8.8',
    '::127.0.0.1',
    '64:ff9b::a9fe:a9fe',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    '2001:0:7f00:1::',
    '2001:db8::1',
    '100::1',
    '',
    'localhost',
    '1.2.3',
    '010.0.0.1',
  ])('%s is not public', (address) => expect(isPublicAddress(address)).toBe(false))

  test.each([
    '127.1',
    '0x7f.0.0.1',
    '2130706433',
    '0177.0.0.1',
    '127.0.0.1.',
    '１２７.0.0.1',
    '[::1]',
    '[::ffff:7f00:1]',
    '[::ffff:127.0.0.1]',
    '169.254.169.254',
    '[fe80::1]',
    '0',
  ])('is seen through its spelling %s in a URL', (host) =>
    expect(isPrivateLiteral(new URL(`https://${host}/hook`))).toBe(true),
  )
})

describe('a name of a receiver', () => {
  const addresses =
    (...list: string[]): Resolve =>
    (_host, _options, callback) =>
      callback(
        null,
        list.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      )
  const lookUp = (resolve: Resolve, all: boolean) =>
    new Promise((answer) =>
      publicLookup(resolve)('app.example.com', { all }, (error, found, family) =>
        answer(error ? error.name : [found, family]),
      ),
    )

  test('resolves to its public addresses', async () => {
    expect(await lookUp(addresses('1.1.1.1', '2606:4700::1111'), false)).toEqual(['1.1.1.1', 4])
    expect(await lookUp(addresses('1.1.1.1', '2606:4700::1111'), true)).toEqual([
      [
        { address: '1.1.1.1', family: 4 },
        { address: '2606:4700::1111', family: 6 },
      ],
      undefined,
    ])
  })

  test.each([true, false])('is refused with one private address among others (all: %s)', async (all) => {
    for (const bad of ['10.0.0.1', '::ffff:10.0.0.1', 'fd00::1'])
      expect(await lookUp(addresses('1.1.1.1', bad), all)).toBe('PrivateAddressError')
    expect(await lookUp(addresses(), all)).toBe('Error')
  })
})
