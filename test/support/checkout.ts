/** Owns a copy of this project to build in, so that no other test reads what is being written. */
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const project = resolve(import.meta.dirname, '../..')
const files = ['package.json', 'tsconfig.json', 'build.js', 'README.md', 'LICENSE', 'src', 'mails', 'client']

export interface Checkout {
  readonly folder: string
  remove(): Promise<void>
}

/** What is built, with the packages that are installed here. */
export async function copyCheckout(): Promise<Checkout> {
  const folder = await mkdtemp(join(tmpdir(), 'jwt-mailer-checkout-'))
  const isBuilt = join(project, 'client/dist')
  const filter = (name: string) => name !== isBuilt
  for (const name of files) await cp(join(project, name), join(folder, name), { recursive: true, filter })
  await symlink(join(project, 'node_modules'), join(folder, 'node_modules'))
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) }
}
