/** Owns what all commands share: their signature, how they print, how they end, and the error of one that cannot run. */
import type { Command } from 'commander'

/** 0: all is well. 1: the command found a problem. 2: the command could not run. */
export type ExitCode = 0 | 1 | 2

/** Where a command prints: results to `out`, errors to `err`, in whole lines. */
export interface Terminal {
  out(line: string): void
  err(line: string): void
  /** Adds colour on a terminal only, and never with NO_COLOR. */
  paint(style: 'red' | 'green' | 'yellow' | 'bold', text: string): string
  /** How wide a table may be. */
  readonly columns?: number | undefined
  /** Replaces the progress line on a terminal; an empty text removes it. Absent where stderr is no terminal. */
  readonly progress?: ((text: string) => void) | undefined
}

/** What the action of a command works with. */
export interface CommandIo {
  readonly terminal: Terminal
  readonly env: NodeJS.ProcessEnv
  /** Sets the exit code; without a call it is 0. */
  readonly finish: (code: ExitCode) => void
}

/**
 * Adds one command to the program: its words, flags and help. Runs for every call of `jwt-mailer`, so a command file
 * imports commander and leaves only; the action imports what it needs.
 */
export type AddCommand = (program: Command, io: CommandIo) => void

/** Ends a command with exit code 2. The message is a sentence for the person who called it. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}
