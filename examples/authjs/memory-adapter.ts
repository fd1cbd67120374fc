/** Owns users and link tokens for as long as the program runs: what Auth.js needs of a database for mails. */
import type { Adapter, AdapterUser, VerificationToken } from '@auth/core/adapters'

export function memoryAdapter(): Adapter {
  const users = new Map<string, AdapterUser>()
  const tokens = new Map<string, VerificationToken>()
  const keyOf = ({ identifier, token }: Pick<VerificationToken, 'identifier' | 'token'>) =>
    `${identifier} ${token}`
  return {
    createUser: async (user) => {
      users.set(user.id, user)
      return user
    },
    getUser: async (id) => users.get(id) ?? null,
    getUserByEmail: async (email) => [...users.values()].find((user) => user.email === email) ?? null,
    getUserByAccount: async () => null,
    updateUser: async (changes) => {
      const known = users.get(changes.id)
      if (!known) throw new Error('there is no such user')
      const user = { ...known, ...changes }
      users.set(user.id, user)
      return user
    },
    linkAccount: async () => undefined,
    createVerificationToken: async (token) => {
      tokens.set(keyOf(token), token)
      return token
    },
    useVerificationToken: async (key) => {
      const token = tokens.get(keyOf(key)) ?? null
      // it works once
      tokens.delete(keyOf(key))
      return token
    },
  }
}
