import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { failureAnswer, failures } from '../src/contract.ts'
import { MailerError } from '../src/errors.ts'
import { readClaims } from '../src/token.ts'

const reference = (name: string) =>
  readFileSync(new URL(`../docs/reference/${name}.md`, import.meta.url), 'utf8')
const rows = [...reference('failure-codes').matchAll(/^\| `(\w+)` \| ([\d, ]+), (\d) \| (.+) \| (.+) \|$/gm)]

describe('every failure code', () => {
  it('stands in the reference with its status, its wire code and what to do, and no other does', () => {
    const listed = rows.map(([, code = '']) => code).filter((code) => !['sent', 'queued'].includes(code))
    expect(listed.toSorted()).toEqual(Object.keys(failures).toSorted())
    for (const [, code = '', statuses = '', wire, meaning = '', advice = ''] of rows) {
      if (code === 'sent' || code === 'queued') continue
      const { status, error, meaning: known } = failures[code as keyof typeof failures]
      expect(`${code} ${statuses.split(', ')[0]} ${wire}`).toBe(`${code} ${status} ${error}`)
      expect(meaning).toBe(known)
      expect(advice.length).toBeGreaterThan(3)
    }
  })
})

describe('an answer', () => {
  it('names the claim at fault and nothing else of what was thrown', () => {
    const thrown = new MailerError('claims_invalid', {
      faults: [{ claim: 'user_email', reason: 'address' }],
      cause: new Error('leak'),
    })
    expect(failureAnswer(thrown)).toEqual({
      status: 422,
      answer: {
        error: 1,
        msg: 'Problem with token: user_email is not one plain address',
        code: 'claims_invalid',
        claim: 'user_email',
        reason: 'address',
        claims: ['user_email'],
      },
    })
  })

  it('names every claim that is missing or of the wrong type, and no value', () => {
    const refused = (payload: object) => {
      try {
        return readClaims(payload)
      } catch (error) {
        return failureAnswer(error).answer
      }
    }
    const refusal = (words: string, reason: string, claims = ['user_email']) => ({
      error: 1,
      msg: `Problem with token: ${words}`,
      code: 'claims_invalid',
      claim: 'user_email',
      reason,
      claims,
    })
    const both = ['user_email', 'user_name']
    expect(refused({ user_name: { given: 'value' } })).toEqual(
      refusal('user_email is missing; user_name is of the wrong type', 'missing', both),
    )
    expect(refused({ user_email: 7, user_name: 7 })).toEqual(
      refusal('user_email is of the wrong type; user_name is of the wrong type', 'type', both),
    )
    expect(refused({ user_email: 'value', user_name: 7 })).toEqual(
      refusal('user_email is not one plain address; user_name is of the wrong type', 'address', both),
    )
    expect(refused({ user_email: null })).toEqual(refusal('user_email is missing', 'missing'))
    expect(refused({ user_email: 'value' })).toEqual(
      refusal('user_email is not one plain address', 'address'),
    )
  })

  it('counts what it does not name', () => {
    const faults = Array.from({ length: 22 }, (_, index) => ({
      claim: `c${index}`,
      reason: 'missing' as const,
    }))
    expect(failureAnswer(new MailerError('claims_invalid', { faults })).answer).toMatchObject({
      msg: expect.stringMatching(/: c0 is missing; .*; c19 is missing; and 2 more$/),
      claims: faults.map(({ claim }) => claim),
    })
  })

  it('gives no reason to a failure that names no claim', () => {
    const { answer } = failureAnswer(
      new MailerError('token_malformed', { faults: [{ claim: 'exp', reason: 'type' }] }),
    )
    expect(answer).toEqual({ error: 1, msg: 'Problem with token', code: 'token_malformed' })
  })

  it('to a bug says nothing about it', () => {
    expect(failureAnswer(new TypeError('leak'))).toEqual({
      status: 500,
      answer: { error: 2, msg: 'Could not send', code: 'internal' },
    })
  })
})
