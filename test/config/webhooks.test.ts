import { describe, expect, test } from 'vitest'
import { ConfigError } from '../../src/config/config-error.ts'
import { readWebhooks, strangeWebhooks } from '../../src/config/webhooks.ts'

const whsec = (seed: string, bytes = 32) =>
  `whsec_${Buffer.from(seed.repeat(bytes)).subarray(0, bytes).toString('base64')}`
const [secret, other, old] = [whsec('current-one'), whsec('another-one'), whsec('previous-one')]
const production = { production: true, allowPrivate: false }
const url = 'https://app.example.com/hook?k=1'

function problemsOf(env: NodeJS.ProcessEnv, options = production): string[] {
  try {
    readWebhooks(env, options)
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.problems.map(({ variable, says }) => `${variable} ${says}`)
  }
}

describe('webhooks', () => {
  test('are of all apps or of one, with its own secret or the shared one', () => {
    const { webhookOf, isShared, variables } = readWebhooks(
      {
        JWT_MAILER_WEBHOOK: url,
        JWT_MAILER_WEBHOOK_SECRET: secret,
        JWT_MAILER_WEBHOOK_SECRET_PREVIOUS: old,
        JWT_MAILER_WEBHOOK_MY_SHOP: 'https://shop.example.com',
        JWT_MAILER_WEBHOOK_SECRET_MY_SHOP: other,
        JWT_MAILER_WEBHOOK_BLOG: 'https://blog.example.com',
        JWT_MAILER_WEBHOOK_EMPTY: '',
      },
      production,
    )
    const allowPrivate = false
    expect(webhookOf('anything')).toEqual({ url, secrets: [secret, old], allowPrivate })
    expect(webhookOf('my-shop')).toEqual({ url: 'https://shop.example.com/', secrets: [other], allowPrivate })
    expect(webhookOf('blog')).toMatchObject({ secrets: [secret, old] })
    expect([isShared, variables]).toEqual([true, ['JWT_MAILER_WEBHOOK_BLOG', 'JWT_MAILER_WEBHOOK_MY_SHOP']])
    expect(strangeWebhooks(variables, ['my-shop']).map(({ variable }) => variable)).toEqual([
      'JWT_MAILER_WEBHOOK_BLOG',
    ])
    expect(readWebhooks({}, production)).toMatchObject({ isShared: false, variables: [] })
  })

  test('may be on this machine in development only, and private where that is allowed', () => {
    const env = { JWT_MAILER_WEBHOOK: 'http://localhost:3000/hook', JWT_MAILER_WEBHOOK_SECRET: secret }
    expect(readWebhooks(env, { ...production, production: false }).webhookOf('x')?.allowPrivate).toBe(true)
    expect(problemsOf(env)).toEqual(['JWT_MAILER_WEBHOOK must begin with https://'])
    const allowed = { ...env, JWT_MAILER_WEBHOOK: url }
    expect(readWebhooks(allowed, { ...production, allowPrivate: true }).webhookOf('x')?.allowPrivate).toBe(
      true,
    )
  })

  test.each([
    'http://app.example.com',
    'ftp://app.example.com',
    'https://user:pass@app.example.com',
    `${url}#x`,
    'app.example.com',
    `${url} `,
  ])('do not lead to %s, and the value is not repeated', (bad) => {
    const [problem = '', ...more] = problemsOf({ JWT_MAILER_WEBHOOK: bad, JWT_MAILER_WEBHOOK_SECRET: secret })
    expect(problem).toMatch(/^JWT_MAILER_WEBHOOK must /)
    expect(problem).not.toContain('app.example.com/hook')
    expect(more).toEqual([])
  })

  test.each([
    ['secret', 'must be whsec_ and 24'],
    [whsec('short', 23), 'must be whsec_ and 24'],
    [whsec('long', 65), 'must be whsec_ and 24'],
    [whsec('\0'), 'repeats the same few characters'],
  ])('are not signed with %s', (bad, says) => {
    const env = { JWT_MAILER_WEBHOOK: url, JWT_MAILER_WEBHOOK_SECRET: bad }
    expect(problemsOf(env)).toEqual([expect.stringContaining(says)])
  })

  test('need their secret, and a secret its webhook', () => {
    const hook = { JWT_MAILER_WEBHOOK_SHOP: url }
    expect(problemsOf(hook)).toEqual([expect.stringMatching(/^JWT_MAILER_WEBHOOK_SECRET_SHOP is missing/)])
    expect(problemsOf({ JWT_MAILER_WEBHOOK_SECRET_SHOP: secret })).toEqual([
      'JWT_MAILER_WEBHOOK_SECRET_SHOP is set without JWT_MAILER_WEBHOOK_SHOP',
    ])
    expect(problemsOf({ JWT_MAILER_WEBHOOK_SECRET: secret })).toHaveLength(1)
    expect(problemsOf({ ...hook, JWT_MAILER_WEBHOOK_SECRET: secret })).toEqual([])
    expect(problemsOf({ ...hook, JWT_MAILER_WEBHOOK_SECRET: secret, jwt_mailer_webhook_blog: url })).toEqual([
      'jwt_mailer_webhook_blog is not read',
    ])
    const previous = {
      ...hook,
      JWT_MAILER_WEBHOOK_SECRET: secret,
      JWT_MAILER_WEBHOOK_SECRET_SHOP_PREVIOUS: old,
    }
    expect(problemsOf(previous)).toEqual([
      'JWT_MAILER_WEBHOOK_SECRET_SHOP_PREVIOUS is set without JWT_MAILER_WEBHOOK_SECRET_SHOP',
    ])
  })
})
