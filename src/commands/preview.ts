/** Owns `jwt-mailer preview`: its flags and its help. The files are written by write-previews.ts. */
import type { AddCommand } from './terminal.ts'

interface Flags {
  readonly out: string
  readonly mails?: string
  readonly appName?: string
  readonly json?: boolean
}

const help = `
Exit codes: 0 written · 1 the mails have problems: see jwt-mailer check · 2 the command could not run

Examples:
  $ jwt-mailer preview --out previews && open previews/index.html
  $ jwt-mailer preview --mails my-mails --app-name Roses --out /tmp/previews`

export const addPreview: AddCommand = (program, { terminal, env, finish }) => {
  program
    .command('preview')
    .summary('write every mail into files to look at')
    .description(
      'Renders every mail with its samples and writes a gallery: index.html opens in any browser, without a service. Beside it are the HTML part, the text part and the source of each mail.',
    )
    .requiredOption('--out <dir>', 'the folder to write into; made if it does not exist')
    .option('--mails <dir>', 'the folder of mails (default: MAILS_DIR, else the built-in mails)')
    .option('--app-name <name>', 'the name of the default app (default: APP_NAME)')
    .option('--json', 'print one JSON object')
    .addHelpText('after', help)
    .action(async (flags: Flags) => {
      const { out, mails = env['MAILS_DIR'], appName = env['APP_NAME'], json = false } = flags
      const { writePreviews } = await import('./write-previews.ts')
      finish(await writePreviews({ out, mails, appName, json }, terminal))
    })
}
