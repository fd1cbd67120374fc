import { describe, expect, it } from 'vitest'
import { checkLinkOrigins, readAdapters } from '../../src/config/adapters.ts'
import { ConfigError, problemLine } from '../../src/config/config-error.ts'

const options = { localeKey: 'locale', ownTexts: false, allowHttp: false }
const [one, two] = ['a', 'b'].map((byte) => `v1,whsec_${Buffer.alloc(32, byte).toString('base64')}`)
const supabase = { SUPABASE_HOOK_SECRET: one, SUPABASE_URL: 'https://project.supabase.co' }

function problemsOf(run: () => unknown): string[] {
  try {
    run()
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(problemLine)
    throw error
  }
  return []
}

describe('the adapters of an environment', () => {
  it('are none without a secret', () => {
    expect(readAdapters({ SUPABASE_URL: 'https://project.supabase.co' }, options)).toEqual([])
  })

  it('are one for all apps, and one for each app that has a secret of its own', () => {
    const env = {
      ...supabase,
      SUPABASE_HOOK_SECRET_PREVIOUS: two,
      SUPABASE_HOOK_SECRET_SHOP: `${two}|${one}`,
      SUPABASE_URL_SHOP: 'https://shop.example/auth/',
      SUPABASE_HOOK_SECRET_BLOG: two,
    }
    const found = readAdapters(env, options).map(({ app, secrets, urls }) => ({ app, secrets, urls }))
    const url = 'https://project.supabase.co'
    expect(found).toHaveLength(3)
    expect(found).toContainEqual({ app: undefined, secrets: [one, two], urls: [url] })
    expect(found).toContainEqual({ app: 'shop', secrets: [two, one], urls: ['https://shop.example/auth'] })
    expect(found).toContainEqual({ app: 'blog', secrets: [two], urls: [url] })
  })

  it('of systems that send whole links may lead to several origins', () => {
    const env = {
      KRATOS_HOOK_SECRET: 'a|secret|of|some|words',
      KRATOS_URL: 'https://a.example/x, https://b.example',
    }
    expect(readAdapters(env, options)).toMatchObject([
      {
        system: 'kratos',
        secrets: ['a|secret|of|some|words'],
        urls: ['https://a.example', 'https://b.example'],
      },
    ])
  })

  it.each<[string, NodeJS.ProcessEnv, RegExp]>([
    [
      'a secret of another form',
      { ...supabase, SUPABASE_HOOK_SECRET: 'whsec_abc' },
      /^SUPABASE_HOOK_SECRET: must look like v1,whsec_/,
    ],
    [
      'a previous secret alone',
      { SUPABASE_HOOK_SECRET_PREVIOUS: one },
      /_PREVIOUS: is set without SUPABASE_HOOK_SECRET\./,
    ],
    [
      'a name in small letters',
      { ...supabase, SUPABASE_HOOK_SECRET_shop: one },
      /_shop: is not read. Write it in capitals/,
    ],
    ['no address', { SUPABASE_HOOK_SECRET: one }, /^SUPABASE_URL: is missing/],
    [
      'an address without TLS',
      { ...supabase, SUPABASE_URL: 'http://supabase.example' },
      /must begin with https/,
    ],
    [
      'an address that holds a password',
      { ...supabase, SUPABASE_URL: 'https://u:geheim@a.example' },
      /must look like https/,
    ],
    [
      'two addresses',
      { ...supabase, SUPABASE_URL: 'https://a.example,https://b.example' },
      /must be one address/,
    ],
  ])('are refused with %s, by the name of the variable and without its value', (_title, env, sentence) => {
    const problems = problemsOf(() => readAdapters(env, options))
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(sentence)
    expect(problems[0]).not.toMatch(/geheim|YWFh/)
  })
})

describe('where links may lead', () => {
  const settings = readAdapters(supabase, options)
  const none = () => undefined
  it('may be said by the variable alone', () => {
    expect(problemsOf(() => checkLinkOrigins(settings, ['default'], none))).toEqual([])
  })
  it('must be among the link_origins of each app that has some', () => {
    const origins = (app: string) => (app === 'shop' ? ['https://shop.example'] : undefined)
    expect(problemsOf(() => checkLinkOrigins(settings, ['default', 'shop'], origins))).toEqual([
      'SUPABASE_URL: leads to none of the link_origins of the app shop. Add https://project.supabase.co to link_origins in its app.json.',
    ])
  })
  it('must be said at all', () => {
    const open = settings.map((each) => ({ ...each, urls: [] }))
    expect(problemsOf(() => checkLinkOrigins(open, ['default'], none))).toHaveLength(1)
    expect(problemsOf(() => checkLinkOrigins(open, ['default'], () => ['https://a.example']))).toEqual([])
  })
})
