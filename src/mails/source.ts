/**
 * Owns reading what authors write by hand: `app.json` and front matter, as YAML (of which JSON is a part), checked by
 * a schema, every fault with its file and line.
 */
import { isNode, LineCounter, parseDocument, visit, type Document } from 'yaml'
import type { z } from 'zod'
import type { Problems } from './problem.ts'

export interface Parsed<T> {
  readonly value: T
  /** The line in the file on which the value at this path stands. */
  lineOf(path: readonly PropertyKey[]): number
}

/** `firstLine` is the line of the file on which `text` begins. `undefined` when a problem was found. */
export function parseSettings<T>(
  schema: z.ZodType<T>,
  text: string,
  file: string,
  firstLine: number,
  problems: Problems,
): Parsed<T> | undefined {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const lineAt = (offset: number) => lines.linePos(offset).line + firstLine - 1
  for (const error of document.errors) problems.add(file, lineAt(error.pos[0]), sentence(error.message))
  for (const offset of cutTexts(document))
    problems.add(
      file,
      lineAt(offset),
      'a text with ` #` in it needs quotes around it: the rest is taken as a comment',
    )
  if (document.errors.length > 0) return undefined

  const lineOf = (path: readonly PropertyKey[]) => {
    for (let length = path.length; length > 0; length--) {
      const node: unknown = document.getIn(path.slice(0, length), true)
      if (isNode(node) && node.range) return lineAt(node.range[0])
    }
    return firstLine
  }
  const result = schema.safeParse(document.toJS({ maxAliasCount: 0 }) ?? {})
  if (result.success) return { value: result.data, lineOf }
  for (const issue of result.error.issues) {
    const unknown = issue.code === 'unrecognized_keys' ? issue.keys : undefined
    const path = unknown ? [...issue.path, unknown[0]!] : issue.path
    const subject = path.length > 0 ? `\`${path.join('.')}\`: ` : ''
    problems.add(file, lineOf(path), subject + (unknown ? 'is not a setting known here' : issue.message))
  }
  return undefined
}

/** `subject: Ticket #1` is the text `Ticket` to YAML, which nobody means. */
function cutTexts(document: Document): number[] {
  const found: number[] = []
  visit(document, {
    Scalar(_, node) {
      if (node.type === 'PLAIN' && typeof node.value === 'string' && node.comment)
        found.push(node.range?.[0] ?? 0)
    },
  })
  return found
}

function sentence(message: string): string {
  if (message.includes('compact mappings')) return 'a text with a colon in it needs quotes around it'
  return message.split('\n')[0]!
}
