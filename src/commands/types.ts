/** Owns `jwt-mailer types`: its arguments and its help. The TypeScript is written by mail-types.ts. */
import type { AddCommand } from './terminal.ts'

const help = `
Exit codes: 0 written · 1 the mails have problems: see jwt-mailer check · 2 the command could not run

Examples:
  $ jwt-mailer types > mails.d.ts
  $ jwt-mailer types my-mails > src/mails.d.ts

In the application, where a missing claim, a wrong kind or an unknown app is now a compiler error:
  import { createMailer } from 'jwt-mailer/client'
  import type { Mails } from './mails.d.ts'
  const mailer = createMailer<Mails['default']>({ url, secret })`

export const addTypes: AddCommand = (program, { terminal, env, finish }) => {
  program
    .command('types')
    .summary('print what the mails need from their callers, as TypeScript')
    .description(
      'Prints the interface `Mails`: every app, its kinds, and what each kind needs. Pass it to createMailer of jwt-mailer/client.',
    )
    .argument('[dir]', 'the folder of mails (default: MAILS_DIR, else the built-in mails)')
    .addHelpText('after', help)
    .action(async (dir: string | undefined) => {
      const { printMailTypes } = await import('./mail-types.ts')
      finish(printMailTypes(dir ?? env['MAILS_DIR'], terminal))
    })
}
