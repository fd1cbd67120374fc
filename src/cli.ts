/**
 * Owns the command line: the list of commands, the help of the program, and how a run ends. Each command describes
 * itself in a file of commands/; what it works with is loaded when it is called.
 */
import { styleText } from 'node:util'
import { Command, CommanderError } from 'commander'
import { addCheck } from './commands/check.ts'
import { addDoctor } from './commands/doctor.ts'
import { addErase } from './commands/erase.ts'
import { addOutbox } from './commands/outbox.ts'
import { addPreview } from './commands/preview.ts'
import { addSend } from './commands/send.ts'
import { addSuppression } from './commands/suppression.ts'
import { addServe } from './commands/serve.ts'
import {
  type AddCommand,
  CommandError,
  type CommandIo,
  type ExitCode,
  type Terminal,
} from './commands/terminal.ts'
import { addToken } from './commands/token.ts'
import { addTypes } from './commands/types.ts'
import { addWebhook } from './commands/webhook.ts'

/** In the order of the help. */
const commands: readonly AddCommand[] = [
  addServe,
  addSend,
  addToken,
  addTypes,
  addCheck,
  addPreview,
  addDoctor,
  addOutbox,
  addSuppression,
  addErase,
  addWebhook,
]

const help = `
Exit codes: 0 all is well · 1 the command found a problem · 2 the command could not run
"jwt-mailer COMMAND --help" shows the flags, the exit codes and examples of a command.

Examples:
  $ jwt-mailer serve                       start the service, with an inbox on your machine
  $ jwt-mailer send --to ada@example.com --kind resetkey --key 493027
  $ jwt-mailer types > mails.d.ts          the types of your mails, for the compiler of your app
  $ jwt-mailer check                       find problems in the mails that the service would send
  $ jwt-mailer preview --out previews      look at the mails without a service
  $ jwt-mailer doctor                      examine a deployment
  $ jwt-mailer outbox stats                count waiting and dead mails
  $ jwt-mailer suppression show ada@example.com`

/** `words` follow the name of the program. Never throws: an error becomes a sentence on `err` and exit code 2. */
export async function runCommand(
  words: readonly string[],
  terminal: Terminal = processTerminal(),
  env: NodeJS.ProcessEnv = process.env,
): Promise<ExitCode> {
  let code: ExitCode = 0
  try {
    await commandLine({ terminal, env, finish: (result) => (code = result) }).parseAsync(words, {
      from: 'user',
    })
    return code
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    terminal.err(sentenceOf(error))
    return 2
  }
}

function commandLine(io: CommandIo): Command {
  const program = new Command('jwt-mailer')
    .description('A signed token in, a confirmation mail out.')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.terminal.out(text.trimEnd()),
      writeErr: (text) => io.terminal.err(text.trimEnd()),
    })
    .showHelpAfterError('(see jwt-mailer --help)')
    .addHelpText('after', help)
  for (const add of commands) add(program, io)
  return program
}

function processTerminal(): Terminal {
  const { stdout, stderr } = process
  return {
    out: (line) => void stdout.write(`${line}\n`),
    err: (line) => void stderr.write(`${line}\n`),
    paint: (style, text) => styleText(style, text, { stream: stdout }),
    columns: stdout.columns,
    progress: stderr.isTTY
      ? (text) => void stderr.write(`\r\u001b[K${text.slice(0, (stderr.columns || 80) - 1)}`)
      : undefined,
  }
}

/** An error of the system is clear without a stack; any other error is a bug and shows its stack. */
function sentenceOf(error: unknown): string {
  if (error instanceof CommandError) return `jwt-mailer: ${error.message}`
  if (!(error instanceof Error)) return String(error)
  return 'syscall' in error ? `jwt-mailer: ${error.message}` : (error.stack ?? error.message)
}
