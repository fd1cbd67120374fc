import { expect, test } from 'vitest'
import { undeclaredClaims } from '../../src/mails/undeclared.ts'
import { mailOf } from './catalogues.ts'

const contract = 'claims:\n  inviter_name: { default: "" }\n  plan: {}\n'
const told = (claims: object) =>
  undeclaredClaims(mailOf('{{ inviter_name }} {{ plan }}', contract), {
    user_email: 'ada@example.com',
    ...claims,
  })

test('claims that a mail does not declare are named, with the one that was meant', () => {
  expect(told({ inviterName: 'Ada', plan: 'x', colour: 1, exp: 1, user_name: 'x', jti: 'j' })).toEqual([
    'inviterName: not declared; did you mean inviter_name?',
    'colour: not declared',
  ])
  expect(told({ inviter_name: 'Ada', inviterName: 'Ada' })).toEqual(['inviterName: not declared'])
})

test('their names are bounded and say nothing to a terminal, and their values are not there', () => {
  const many = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`\u001b[31m${index}`, 'secret']))
  const lines = told({ ...many, ['n'.repeat(10_000)]: 1 })
  expect(lines).toHaveLength(20)
  expect(lines.join('')).not.toMatch(/\u001b|secret/)
})
