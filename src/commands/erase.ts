/** Owns `jwt-mailer erase`: an address leaves the store. */
import { readAddress } from './address-argument.ts'
import type { AddCommand } from './terminal.ts'

const help = `
Mails that wait are given up: they become dead, and cannot be requeued. Mails that were sent or are dead stay on record,
so that their tokens cannot send them again, but no longer say whom they were for. Limits and suppressions of the address
are deleted. docs/privacy.md says what is kept, and for how long.

Stop sending to the address first: a mail that is accepted meanwhile may be missed.

Exit codes: 0 done · 1 nothing was found · 2 the command could not run

Examples:
  $ jwt-mailer erase ada@example.com
  $ jwt-mailer erase ada@example.com --json`

export const addErase: AddCommand = (program, { terminal, env, finish }) => {
  program
    .command('erase')
    .summary('take everything about an address out of the store')
    .description(
      'Takes everything about one address out of the outbox, for a request to erase personal data, with the environment of the service, also while the service runs.',
    )
    .argument('<address>')
    .option('--json', 'print one JSON object')
    .addHelpText('after', help)
    .action(async (given: string, { json }: { json?: boolean }) => {
      const address = readAddress(given)
      const { withOutbox } = await import('./with-outbox.ts')
      const erased = await withOutbox(env, (outbox) => outbox.erase(address))
      const { waiting, done, quotas, suppressions } = erased
      const found = waiting + done + quotas + suppressions > 0
      const line = `Mails given up: ${waiting}. Mails sent or dead, now without the address: ${done}. Deleted: ${quotas} limits, ${suppressions} suppressions.`
      terminal.out(json ? JSON.stringify(erased) : found ? line : 'Nothing was found about this address.')
      finish(found ? 0 : 1)
    })
}
