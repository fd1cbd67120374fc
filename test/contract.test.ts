import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { failureAnswer, failures } from '../src/contract.ts'
import { MailerError } from '../src/errors.ts'
import { readClaims } from '../src/token.ts'

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
const rows = [
  ...(readme.split('## When something fails')[1] ?? '').matchAll(
    /^\| `(\w+)` \| ([\d, ]+), (\d) \| (.+) \| (.+) \|$/gm,
  ),
]

describe('every failure code', () => {
  it('stands in the README with its status, its wire code and what to do, and no other does', () => {
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
      claim: 'user_email',
      reason: 'address',
      cause: new Error('leak'),
    })
    expect(failureAnswer(thrown)).toEqual({
      status: 422,
      answer: {
        error: 1,
        msg: 'Problem with token: user_email',
        code: 'claims_invalid',
        claim: 'user_email',
        reason: 'address',
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
    const msg = 'Problem with token: user_email'
    const first = { error: 1, msg, code: 'claims_invalid', claim: 'user_email' }
    const claims = ['user_email', 'user_name']
    expect(refused({ user_name: { given: 'value' } })).toEqual({ ...first, reason: 'missing', claims })
    expect(refused({ user_email: 7, user_name: 7 })).toEqual({ ...first, reason: 'type', claims })
    expect(refused({ user_email: null })).toEqual({ ...first, reason: 'missing' })
    expect(refused({ user_email: 'value' })).toEqual({ ...first, reason: 'address' })
  })

  it('gives no reason to a failure that names no claim', () => {
    const { answer } = failureAnswer(new MailerError('token_malformed', { claim: 'exp', reason: 'type' }))
    expect(answer).toEqual({ error: 1, msg: 'Problem with token', code: 'token_malformed' })
  })

  it('to a bug says nothing about it', () => {
    expect(failureAnswer(new TypeError('leak'))).toEqual({
      status: 500,
      answer: { error: 2, msg: 'Could not send', code: 'internal' },
    })
  })
})
