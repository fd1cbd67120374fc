/**
 * Owns what a start reads before anything else, compiled code and `.env`, and that no other user of the machine can have
 * put it there. Plain JavaScript, because an old Node cannot read TypeScript.
 */
import { existsSync, lstatSync, mkdirSync, realpathSync, statSync } from 'node:fs'
import module from 'node:module'
import { homedir } from 'node:os'
import { dirname, isAbsolute, join } from 'node:path'

const othersMayWrite = 0o022
const worldMayWrite = 0o002
const sticky = 0o1000

/**
 * Keeps compiled code, which halves the time of the second and later starts. By itself Node would keep it in the
 * temporary folder, where others can plant theirs. NODE_COMPILE_CACHE names a folder that the operator answers for.
 */
export function enableOwnCompileCache() {
  if (module.getCompileCacheDir() !== undefined) return
  const folder = ownCacheFolder()
  if (folder !== undefined) module.enableCompileCache(folder)
}

/** Node has read these when `.env` is read: there they come too late. */
const readBefore = [
  'NODE_COMPILE_CACHE',
  'NODE_EXTRA_CA_CERTS',
  'NODE_OPTIONS',
  'NODE_USE_ENV_PROXY',
  'NODE_USE_SYSTEM_CA',
  'OPENSSL_CONF',
  'SSL_CERT_DIR',
  'SSL_CERT_FILE',
]

/**
 * Reads `.env` of the current folder, if there is one, and says on standard error which of its variables have no effect.
 * Returns a sentence when it cannot be trusted, and reads nothing.
 */
export function loadOwnEnvFile() {
  if (!existsSync('.env')) return undefined
  const owner = lstatSync('.env').uid
  const isForeign = process.getuid !== undefined && ![0, process.getuid()].includes(owner)
  if (isForeign && statSync('.').mode & worldMayWrite)
    return 'The file .env here belongs to another user, in a folder that everybody may write. Start in a folder of your own.'
  const late = readBefore.filter((name) => process.env[name] === undefined)
  process.loadEnvFile('.env')
  for (const name of late)
    if (process.env[name] !== undefined)
      console.error(
        `${name} in .env has no effect: Node reads it before. Set it in the environment of the process.`,
      )
  return undefined
}

/** `undefined` where there is no folder that only this user can change. */
function ownCacheFolder() {
  if (process.getuid === undefined) return undefined
  const uid = process.getuid()
  const given = process.env.XDG_CACHE_HOME ?? ''
  const caches = isAbsolute(given) ? given : join(homedir(), '.cache')
  try {
    mkdirSync(join(caches, 'jwt-mailer'), { recursive: true, mode: 0o700 })
    const folder = realpathSync(join(caches, 'jwt-mailer'))
    const { uid: owner, mode } = statSync(folder)
    const isOwn = owner === uid && (mode & othersMayWrite) === 0
    return isOwn && parentsOf(folder).every((parent) => cannotBeMoved(parent, uid)) ? folder : undefined
  } catch {
    // a read-only disk, or no home
    return undefined
  }
}

function parentsOf(path) {
  const parent = dirname(path)
  return parent === path ? [] : [parent, ...parentsOf(parent)]
}

/** What lies in this folder stays where it is: only its owner could move it, and that is us or root. */
function cannotBeMoved(folder, uid) {
  const { uid: owner, mode } = statSync(folder)
  return [0, uid].includes(owner) && ((mode & othersMayWrite) === 0 || (mode & sticky) !== 0)
}
