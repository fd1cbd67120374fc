import { expect, test } from 'vitest'
import { sealWith } from '../../src/outbox/seal.ts'

const token = 'header.päyload.signature'

test('what was sealed opens with the same secret and for the same mail only', () => {
  const sealed = sealWith(['secret']).seal(token, 'mail a')
  expect(sealWith(['secret']).open(sealed, 'mail a')).toBe(token)
  expect(sealWith(['secret']).open(sealed, 'mail b')).toBeUndefined()
  expect(sealWith(['other']).open(sealed, 'mail a')).toBeUndefined()
})

test('after a rotation the new secret seals, and both open', () => {
  const old = sealWith(['old'])
  const rotated = sealWith(['new', 'old'])
  expect(rotated.open(old.seal(token, 'a'), 'a')).toBe(token)
  expect(old.open(rotated.seal(token, 'a'), 'a')).toBeUndefined()
  expect(sealWith(['new']).open(rotated.seal(token, 'a'), 'a')).toBe(token)
})

test('a sealed token shows nothing of itself and looks different every time', () => {
  const seal = sealWith(['secret'])
  const [one, two] = [seal.seal(token, 'a'), seal.seal(token, 'a')]
  expect(one).not.toBe(two)
  expect(Buffer.from(one, 'base64url').includes('header')).toBe(false)
})

test.each(['', 'AAAA', 'not base64 at all', 'A'.repeat(80)])(
  'damaged text %j does not open, and does not throw',
  (text) => {
    expect(sealWith(['secret']).open(text, 'a')).toBeUndefined()
  },
)

test('one changed character keeps it closed', () => {
  const sealed = sealWith(['secret']).seal(token, 'a')
  const at = Math.floor(sealed.length / 2)
  const changed = sealed.slice(0, at) + (sealed[at] === 'A' ? 'B' : 'A') + sealed.slice(at + 1)
  expect(sealWith(['secret']).open(changed, 'a')).toBeUndefined()
})

test('a recipient is hidden the same way every time, whatever its case, and differently by another secret', () => {
  const hidden = sealWith(['secret']).hide('Ada@Example.org')
  expect(hidden).toMatch(/^[\w-]{22}$/)
  expect(sealWith(['secret']).hide('ada@example.org')).toBe(hidden)
  expect(sealWith(['secret']).hide('bob@example.org')).not.toBe(hidden)
  expect(sealWith(['other']).hide('ada@example.org')).not.toBe(hidden)
})

test.each([[[]], [['']], [['new', '']]])('secrets %j are refused', (secrets) => {
  expect(() => sealWith(secrets)).toThrow('needs a secret')
})
