/** Owns what every command shares: where it speaks, how it ends, and what it throws when it cannot be carried out. */

/** 0: all is well. 1: the command found something wrong. 2: it could not be carried out at all. */
export type ExitCode = 0 | 1 | 2

/** Where a command speaks. Results go out, complaints go to err; both take whole lines. */
export interface Terminal {
  out(line: string): void
  err(line: string): void
  /** Coloured on a terminal only, and never with NO_COLOR. */
  paint(style: 'red' | 'green' | 'yellow' | 'bold', text: string): string
  /** How wide a table may be. */
  readonly columns?: number | undefined
  /** Shows what is being waited for, over what it showed before; absent where nobody watches. */
  readonly progress?: ((text: string) => void) | undefined
}

/** Thrown by a command that cannot be carried out: a sentence for whoever called it. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}
