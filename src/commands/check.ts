/** Owns `jwt-mailer check`: its arguments and its help. The check itself is in check-mails.ts. */
import type { AddCommand } from './terminal.ts'

const help = `
A problem stops a start. Advice is on what starts but is unfinished, such as a missing translation; it ends with 0, and
--json lists it apart.

Exit codes: 0 no problem · 1 problems were found · 2 the command could not run

Examples:
  $ jwt-mailer check mails
  $ jwt-mailer check mails --json | jq -r '.problems[].message'
  $ echo 'npx jwt-mailer check mails' > .git/hooks/pre-commit && chmod +x .git/hooks/pre-commit`

export const addCheck: AddCommand = (program, { terminal, env, finish }) => {
  program
    .command('check')
    .summary('compile and lint a folder of mails')
    .description(
      'Compiles and lints every mail of a folder. Prints one line per problem or advice: file:line: message. Made for a pre-commit hook or CI.',
    )
    .argument('[dir]', 'the folder of mails (default: MAILS_DIR, else the built-in mails)')
    .option('--json', 'print one JSON object')
    .addHelpText('after', help)
    .action(async (dir: string | undefined, { json = false }: { json?: boolean }) => {
      const { checkMails } = await import('./check-mails.ts')
      finish(checkMails({ dir: dir ?? env['MAILS_DIR'], json }, terminal))
    })
}
