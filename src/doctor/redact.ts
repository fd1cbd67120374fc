/** Owns the last line of defence: no finding leaves with a secret in it, whoever put it there. */
import type { Finding } from './finding.ts'

const secretName = /SECRET|PASSWORD|PASS$|KEY|TOKEN/
/** Shorter ones cannot be told from words. */
const leastLength = 4

/** Replaces what the environment keeps secret, also in the spelling of SMTP's logins, by `***`. */
export function redactor(env: NodeJS.ProcessEnv): (finding: Finding) => Finding {
  const secrets = secretsIn(env).toSorted((a, b) => b.length - a.length)
  const clean = (text: string) => secrets.reduce((rest, secret) => rest.replaceAll(secret, '***'), text)
  return ({ area, level, says, todo }) => ({
    area,
    level,
    says: clean(says),
    ...(todo !== undefined && { todo: clean(todo) }),
  })
}

function secretsIn(env: NodeJS.ProcessEnv): string[] {
  const found = new Set<string>()
  for (const [name, value = ''] of Object.entries(env)) {
    const url = value.includes('@') ? URL.parse(value) : null
    if (url?.password) for (const spelling of spellings(url.username, url.password)) found.add(spelling)
    if (secretName.test(name)) {
      found.add(value)
      found.add(base64(value))
    }
  }
  return [...found].filter(({ length }) => length >= leastLength)
}

function spellings(user: string, password: string): string[] {
  const [plainUser, plain] = [decoded(user), decoded(password)]
  return [password, plain, base64(plain), base64(`\0${plainUser}\0${plain}`)]
}

const base64 = (text: string) => Buffer.from(text).toString('base64')

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
