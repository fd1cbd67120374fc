/** Owns `jwt-mailer send`: its flags and its help. The mail is sent by send-mail.ts. */
import { InvalidArgumentError } from 'commander'
import { addMailFlags, mailHelp, urlOption } from './mail-options.ts'
import type { SendFlags } from './send-mail.ts'
import type { AddCommand } from './terminal.ts'

const maxWaitS = 86_400
const help = `
Exit codes: 0 accepted; with --wait, sent; with --feedback, delivered · 1 refused or given up; with --wait, also still unsent; with --feedback, also bounced or not yet reported · 2 the command could not run, or the service cannot be reached
${mailHelp}

Examples:
  $ jwt-mailer send --to ada@example.com --link-url https://app.example.com/confirm/ --link-token abc --key 7hK2pQ
  $ jwt-mailer send --kind resetkey --to ada@example.com --key 493027 --wait
  $ jwt-mailer send --claims claims.json --json | jq -r .id`

export const addSend: AddCommand = (program, io) => {
  const command = program
    .command('send')
    .summary('send one mail through a running service')
    .description('Signs a token, sends it to the service as an app does, and prints the status of the mail.')
  addMailFlags(command)
    .addOption(urlOption(io.env, 'where the service listens'))
    .option('--wait', 'wait until a queued mail is sent or given up')
    .option('--feedback', 'wait until the relay has reported too: whether the mail was delivered or bounced')
    .option('--timeout <seconds>', 'how long to wait, at most a day', readSeconds, 300)
    .option('--json', 'print one JSON object')
    .addHelpText('after', help)
    .action(async (flags: SendFlags) => {
      const { sendMail } = await import('./send-mail.ts')
      io.finish(await sendMail(flags, io))
    })
}

function readSeconds(text: string): number {
  const seconds = Number(text)
  if (seconds > 0 && seconds <= maxWaitS) return seconds
  throw new InvalidArgumentError(`It must be a number of seconds, at most ${maxWaitS}.`)
}
