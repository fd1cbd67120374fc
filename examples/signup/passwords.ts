/** Owns what is kept of a password: scrypt with a salt of its own, slow enough that a stolen file is of little use. */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'

// 32 MiB and some 80 ms each; Node works on four at once, and the others wait in its line
const cost = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 }
const keyBytes = 32

/** 8 to 200 characters; anything in them. */
export const isPassword = (text: string) => text.length >= 8 && text.length <= 200

export async function hashPassword(password: string, salt = randomBytes(16)): Promise<string> {
  return `${salt.toString('base64')}:${(await derive(password, salt)).toString('base64')}`
}

/** Takes as long for nobody's password as for a wrong one: the time must not tell whether there is an account. */
export async function verifyPassword(password: string, kept: string | undefined): Promise<boolean> {
  const [salt = '', key = ''] = (kept ?? nobody).split(':')
  const derived = await derive(password, Buffer.from(salt, 'base64'))
  return timingSafeEqual(derived, Buffer.from(key, 'base64')) && kept !== undefined
}

function derive(password: string, salt: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFKC'), salt, keyBytes, cost, (error, key) =>
      error ? reject(error) : resolve(key),
    )
  })
}

const nobody = await hashPassword(randomBytes(16).toString('hex'))
