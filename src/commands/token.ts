/** Owns `jwt-mailer token`: its flags, its help, and the token it prints. `--decode` is in explain-token.ts, `--as` in sample-call.ts. */
import { mailFromFlags, mailHelp, type MailFlags, routeOf, addMailFlags, urlOption } from './mail-options.ts'
import type { AddCommand, CommandIo } from './terminal.ts'

interface TokenFlags extends MailFlags {
  readonly url: string
  readonly decode?: string
  readonly as?: string
  readonly json?: boolean
}

const help = `
Exit codes: 0 printed; with --decode, the token is good · 1 with --decode, the service would refuse the token, or nothing is set to verify it · 2 the command could not run
${mailHelp}

Examples:
  $ jwt-mailer token --to ada@example.com --link-url https://app.example.com/confirm/ --link-token abc --key 7hK2pQ
  $ echo '{"user_email":"ada@example.com","user_aut_key":"493027"}' | jwt-mailer token --kind resetkey --claims -
  $ jwt-mailer token --decode - < token.txt
  $ jwt-mailer token --as supabase --to ada@example.com | sh`

export const addToken: AddCommand = (program, io) => {
  const command = program
    .command('token')
    .summary('print a token, or explain one')
    .description(
      'Prints a signed token, and on standard error the curl line that sends it. With --decode it explains a token: its claims, its times in words, the variable of the secret or public key that it is signed with (key sets are fetched), and what the service would answer. Key, link and address are masked.',
    )
  addMailFlags(command)
    .addOption(urlOption(io.env, 'where the service listens, for the curl line'))
    .option('--decode <token>', 'explain this token; - reads it from standard input')
    .option(
      '--as <system>',
      'a signed sample call of supabase, kratos, zitadel or logto as a curl line; good for five minutes',
    )
    .option('--json', 'print one JSON object')
    .addHelpText('after', help)
    .action(async (flags: TokenFlags) => {
      if (flags.as !== undefined) return printSampleCall({ ...flags, as: flags.as }, io)
      if (flags.decode === undefined) return printToken(flags, io)
      const { explainToken } = await import('./explain-token.ts')
      io.finish(await explainToken(flags.decode, flags.json === true, io))
    })
}

async function printSampleCall(
  flags: TokenFlags & { as: string },
  { terminal, env }: CommandIo,
): Promise<void> {
  const { sampleCall } = await import('./sample-call.ts')
  const { as, app, to, url } = flags
  const call = sampleCall({ as, app, to, url }, env)
  terminal.out(flags.json ? JSON.stringify(call) : call.curl)
}

async function printToken(flags: TokenFlags, { terminal, env }: CommandIo): Promise<void> {
  const mail = await mailFromFlags(flags, env)
  const { mintToken } = await import('../../client/src/mint.ts')
  const token = await mintToken(mail)
  const url = routeOf(flags.url, flags)
  // through a pipe, because the list of processes shows the arguments of curl
  const curl = `printf '%s' '${JSON.stringify({ token })}' | curl -H 'Content-Type: application/json' --data-binary @- ${url}`
  if (flags.json) return terminal.out(JSON.stringify({ token, url, curl }))
  terminal.out(token)
  // on standard error, so that TOKEN=$(jwt-mailer token …) holds the token alone
  terminal.err(`\n${curl}`)
}
