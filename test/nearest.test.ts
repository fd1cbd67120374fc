import { expect, test } from 'vitest'
import { nearest } from '../src/nearest.ts'

const names = ['confirmation', 'reset', 'reset-code', 'inviter_name', 'user_name', 'x']

test.each<[string, string | undefined]>([
  ['comfirmation', 'confirmation'],
  ['confrimation', 'confirmation'],
  ['inviterName', 'inviter_name'],
  ['username', 'user_name'],
  ['Reset', 'reset'],
  ['resetcode', 'reset-code'],
  ['rest', 'reset'],
  ['order', undefined],
  ['y', undefined],
  ['', undefined],
  ['a'.repeat(100_000), undefined],
])('the nearest to %s is %s', (name, meant) => expect(nearest(name, names)).toBe(meant))
