/** Owns the claims that `--claims` reads: one JSON object. */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { CommandError } from './terminal.ts'

const claimsSchema = z.record(
  z.string(),
  z.union([z.string(), z.number(), z.boolean(), z.null(), z.array(z.unknown())]),
)

/** `-` is standard input. Throws a `CommandError`. */
export function readClaims(file: string): z.infer<typeof claimsSchema> {
  try {
    return claimsSchema.parse(JSON.parse(readFileSync(file === '-' ? 0 : file, 'utf8')))
  } catch (error) {
    const why =
      error instanceof Error && 'syscall' in error
        ? error.message
        : 'they must be one JSON object of texts, numbers, true, false and lists'
    throw new CommandError(`the claims in ${file === '-' ? 'standard input' : file} cannot be read: ${why}`)
  }
}
