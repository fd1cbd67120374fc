/** Owns the last line of defence: no finding leaves with a secret in it, wherever the secret came from. */
import type { Finding } from './finding.ts'

const secretName = /SECRET|PASSWORD|PASS$|KEY|TOKEN|LOGIN|SERVICE_ACCOUNT/
/** Shorter secrets also occur inside of common words. */
const leastLength = 4

/** Replaces every secret of the environment by `***`, also as SMTP's logins encode it. */
export function redactor(env: NodeJS.ProcessEnv): (finding: Finding) => Finding {
  const secrets = secretsIn(env).toSorted((a, b) => b.length - a.length)
  const redact = (text: string) => secrets.reduce((rest, secret) => rest.replaceAll(secret, '***'), text)
  return ({ area, level, says, todo }) => ({
    area,
    level,
    says: redact(says),
    ...(todo !== undefined && { todo: redact(todo) }),
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
      if (name.endsWith('_LOGIN')) found.add(value.slice(value.indexOf(':') + 1))
    }
  }
  return [...found].filter(({ length }) => length >= leastLength)
}

function spellings(user: string, password: string): string[] {
  const [plainUser, plain] = [decodePart(user), decodePart(password)]
  return [password, plain, base64(plain), base64(`\0${plainUser}\0${plain}`)]
}

const base64 = (text: string) => Buffer.from(text).toString('base64')

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
