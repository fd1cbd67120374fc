/**
 * Owns the command line: which commands there are, what they say about themselves, and what their exit codes mean.
 * What a command does stands in its own file under commands/, loaded only when it is called.
 */
import { styleText } from 'node:util'
import { Command, CommanderError, Option } from 'commander'
import { doctorCommand } from './commands/doctor.ts'
import { outboxCommand } from './commands/outbox.ts'
import { sendCommand } from './commands/send.ts'
import { serveCommand } from './commands/serve.ts'
import { CommandError, type ExitCode, type Terminal } from './commands/terminal.ts'
import { tokenCommand } from './commands/token.ts'
import { typesCommand } from './commands/types.ts'

const exitCodes = `
Exit codes: 0 all is well · 1 something is wrong · 2 the command could not be carried out`

const processTerminal: Terminal = {
  out: (line) => void process.stdout.write(`${line}\n`),
  err: (line) => void process.stderr.write(`${line}\n`),
  paint: (style, text) => styleText(style, text, { stream: process.stdout }),
  columns: process.stdout.columns,
  progress: process.stderr.isTTY ? (text) => void process.stderr.write(`\r\u001b[K${text}`) : undefined,
}

/** `words` is what follows the program's name. Never throws: what goes wrong is told in a sentence. */
export async function runCommand(words: readonly string[], terminal = processTerminal): Promise<ExitCode> {
  let code: ExitCode = 0
  const program = commandLine(terminal, (result) => (code = result))
  try {
    await program.parseAsync(words, { from: 'user' })
    return code
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    terminal.err(sentenceOf(error))
    return 2
  }
}

function commandLine(terminal: Terminal, finish: (code: ExitCode) => void): Command {
  const program = new Command('jwt-mailer')
    .description('A signed token in, a confirmation mail out.')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out(text.trimEnd()),
      writeErr: (text) => terminal.err(text.trimEnd()),
    })
    .showHelpAfterError('(see jwt-mailer --help)')
    .addHelpText(
      'after',
      `${exitCodes}

Examples:
  $ jwt-mailer serve                       the service, with an inbox on your machine
  $ jwt-mailer send --to ada@example.com --kind resetkey --key 493027
  $ jwt-mailer types > mails.d.ts          for the compiler of your app
  $ jwt-mailer check                       the mails the service would send
  $ jwt-mailer preview --out previews      look at them, without a service
  $ jwt-mailer doctor                      examine a deployment
  $ jwt-mailer outbox stats                what waits, and what was given up`,
    )

  program
    .command('check')
    .summary('compile and lint a folder of mails')
    .description(
      'Compiles every mail of a folder and tells what is wrong or unfinished, one line each: file:line: sentence. Made for a pre-commit hook or CI.',
    )
    .argument('[dir]', 'the folder of mails (default: MAILS_DIR, else the built-in mails)')
    .option('--json', 'one JSON object instead of lines')
    .addHelpText(
      'after',
      `${exitCodes}

Examples:
  $ jwt-mailer check mails
  $ jwt-mailer check mails --json | jq -r '.problems[].message'
  $ echo 'npx jwt-mailer check mails' > .git/hooks/pre-commit && chmod +x .git/hooks/pre-commit`,
    )
    .action(async (dir: string | undefined, options: { json?: boolean }) => {
      const { checkMails } = await import('./commands/check.ts')
      finish(checkMails({ dir: dir ?? process.env['MAILS_DIR'], json: options.json === true }, terminal))
    })

  program
    .command('preview')
    .summary('write every mail into files to look at')
    .description(
      'Writes the gallery of all mails, made from their samples, into a folder: index.html opens in any browser, without a service; beside it lie the HTML part, the text part and the source of each mail.',
    )
    .requiredOption('--out <dir>', 'the folder to write into, made when it is not there')
    .addOption(
      new Option('--mails <dir>', 'the folder of mails (default: the built-in mails)').env('MAILS_DIR'),
    )
    .addOption(new Option('--app-name <name>', 'the name of the default app').env('APP_NAME'))
    .option('--json', 'one JSON object instead of lines')
    .addHelpText(
      'after',
      `${exitCodes}

Examples:
  $ jwt-mailer preview --out previews && open previews/index.html
  $ jwt-mailer preview --mails examples/variance/mails --out /tmp/variance`,
    )
    .action(async (options: { out: string; mails?: string; appName?: string; json?: boolean }) => {
      const { writePreviews } = await import('./commands/preview.ts')
      finish(await writePreviews({ ...options, json: options.json === true }, terminal))
    })

  typesCommand(program, finish, terminal)
  serveCommand(program, finish)
  tokenCommand(program, finish, terminal)
  sendCommand(program, finish, terminal)
  // its errors and its help go where those of the others go
  program.addCommand(doctorCommand(finish, terminal).copyInheritedSettings(program))
  outboxCommand(program, finish, terminal)

  return program
}

/** What the system says about files is clear enough; a bug shows where it is. */
function sentenceOf(error: unknown): string {
  if (error instanceof CommandError) return `jwt-mailer: ${error.message}`
  if (!(error instanceof Error)) return String(error)
  return 'syscall' in error ? `jwt-mailer: ${error.message}` : (error.stack ?? error.message)
}
