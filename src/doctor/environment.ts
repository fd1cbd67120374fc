/** Owns the checks that need no network: Node, the configuration, the secrets, the mails. */
import { alterationOf } from '../config/altered-values.ts'
import { type Config, readConfig } from '../config/config.ts'
import { ConfigError, type ConfigProblem } from '../config/config-error.ts'
import { isSecretName } from '../config/secret-names.ts'
import { type Catalogue, catalogueOptions, loadCatalogue } from '../mails/catalogue.ts'
import { CatalogueError, formatProblem } from '../mails/problem.ts'
import { about, type Finding } from './finding.ts'

const neededNode = 24
const node = about('node')

/** `version` as in `process.versions.node`. */
export function examineNode(version: string): Finding {
  const major = Number.parseInt(version, 10)
  if (major < neededNode)
    return node.bad(
      `${version} is too old`,
      `Install Node ${neededNode}, the version jwt-mailer is made for.`,
    )
  if (major > neededNode)
    return node.warn(
      `${version} is newer than what jwt-mailer is tested with`,
      `Run it with Node ${neededNode}.`,
    )
  return node.ok(version)
}

/** `config` is `undefined` when the environment keeps the service from starting. */
export function examineConfig(env: NodeJS.ProcessEnv): { config: Config | undefined; findings: Finding[] } {
  const { ok, warn, bad } = about('configuration')
  try {
    const config = readConfig(env)
    const mode = config.production ? 'production' : 'development'
    // the strength of secrets is examined apart
    const warnings = config.warnings.filter(({ variable }) => !isSecretName(variable))
    const findings = warnings.map((warning) => warn(saysOf(warning), warning.todo ?? explained))
    return { config, findings: [ok(`complete, for ${mode}`), ...findings] }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const findings = error.problems.map((problem) => bad(saysOf(problem), problem.todo ?? explained))
    return { config: undefined, findings }
  }
}

const explained = 'Every variable is explained in .env.example.'
const saysOf = ({ variable, says }: ConfigProblem) => `${variable}: ${says}`

const placeholders = /^(?:change|secret|password|example|test|default|your|dummy|todo|xxx)/i
const newSecret = 'Make a new one (openssl rand -base64 32) and rotate: the old one goes to'

/** The strength of every secret of tokens: anybody who has one token can try secrets at leisure. */
export function examineSecrets(env: NodeJS.ProcessEnv): Finding[] {
  const names = Object.keys(env).filter((name) => isSecretName(name) && env[name])
  if (names.length === 0) {
    return [
      about('secrets').warn(
        'none is set, so one is made up at every start',
        'Set JWT_MAILER_SECRET to what your apps sign with.',
      ),
    ]
  }
  return names.toSorted().map((name) => examineSecret(name, env[name] ?? '', env))
}

function examineSecret(name: string, secret: string, env: NodeJS.ProcessEnv): Finding {
  const { ok, warn, bad } = about('secrets')
  const bytes = Buffer.byteLength(secret)
  const todo = name.endsWith('_PREVIOUS')
    ? `Remove ${name} as soon as no app signs with it any more.`
    : `${newSecret} ${name}_PREVIOUS until every app signs with the new one.`
  if (bytes < 16) return bad(`${name} has only ${bytes} bytes: anybody who sees a token can guess it`, todo)
  if (placeholders.test(secret) || new Set(secret).size < 8)
    return bad(`${name} looks like a placeholder: anybody who sees a token can guess it`, todo)
  const altered = alterationOf(secret)
  if (altered)
    return warn(
      `${name} ${altered.says}`,
      'Set it to the bare value; apps whose secret has not the same characters get token_signature.',
    )
  if (bytes < 32) return warn(`${name} has ${bytes} bytes; 32 are the least for HS256 (RFC 7518 3.2)`, todo)
  if (name.endsWith('_PREVIOUS') && env[name.replace(/_PREVIOUS$/, '')] === secret)
    return warn(
      `${name} is the same as the current one`,
      `Remove ${name}, or put the older secret there again.`,
    )
  return ok(`${name} is strong enough (${bytes} bytes)`)
}

/** `catalogue` is `undefined` when a mail does not compile. */
export function examineMails(
  config: Config,
  load: typeof loadCatalogue = loadCatalogue,
): { catalogue: Catalogue | undefined; findings: Finding[] } {
  const { ok, bad } = about('mails')
  try {
    const catalogue = load(catalogueOptions(config))
    return { catalogue, findings: [ok(`${catalogue.mails.length} mails compile`)] }
  } catch (error) {
    if (!(error instanceof CatalogueError)) throw error
    const todo = 'Mend the file; jwt-mailer check tells the same without a deployment.'
    const first = error.problems.slice(0, 20)
    return { catalogue: undefined, findings: first.map((problem) => bad(formatProblem(problem), todo)) }
  }
}
