/** Owns how a variable looks whose value was altered on its way into the environment, and what it was before. */
import type { ConfigProblem } from './config-error.ts'
import { environmentSchema } from './environment.ts'
import { isSecretName } from './secret-names.ts'

interface Alteration {
  /** Read after the variable's name. */
  readonly says: string
  readonly undo: (value: string) => string
}

const quoted = /^(["'`])([\s\S]*)\1$|^\u201c([\s\S]*)\u201d$/

/** What files, shells, dashboards and copied text do to a value. The first that is found is told. */
const alterations: readonly (Alteration & { readonly isIn: (value: string) => boolean })[] = [
  {
    isIn: (value) => /[\r\n]$/.test(value),
    says: 'ends with a line break',
    undo: (value) => value.trim(),
  },
  {
    isIn: (value) => value !== value.trim(),
    says: 'begins or ends with white space',
    undo: (value) => value.trim(),
  },
  {
    isIn: (value) => value.length > 2 && quoted.test(value),
    says: 'is in quotes, which belong to its value',
    undo: (value) => value.slice(1, -1),
  },
  {
    isIn: (value) => /\\[rn]$/.test(value),
    says: 'ends with a backslash and a letter that stand for a line break',
    undo: (value) => value.replace(/(?:\\[rn])+$/, ''),
  },
]

export function alterationOf(value: string): Alteration | undefined {
  return alterations.find(({ isIn }) => isIn(value))
}

/** Warnings, because a secret that every app has in the same way works. */
export function alteredValues(env: NodeJS.ProcessEnv): ConfigProblem[] {
  const names = Object.keys(env).filter((name) => name in environmentSchema.shape || isSecretName(name))
  return names.toSorted().flatMap((variable) => {
    const alteration = alterationOf(env[variable] ?? '')
    return alteration ? [alteredValue(variable, alteration)] : []
  })
}

function alteredValue(variable: string, { says }: Alteration): ConfigProblem {
  const todo = isSecretName(variable)
    ? 'Tokens of apps whose secret has not the same characters are refused (token_signature): set it to the bare value.'
    : 'Set it to the bare value.'
  return { variable, says, todo }
}
