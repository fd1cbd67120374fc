/** Owns `jwt-mailer webhook`: a signed test event to the receiver of an app. */
import type { AddCommand } from './terminal.ts'

const help = `
The event has the type webhook.test. docs/callbacks.md says what each reason means.

Exit codes: 0 the receiver took it · 1 it did not · 2 the command could not run

Examples:
  $ jwt-mailer webhook default
  $ jwt-mailer webhook shop --json`

const remedies: Readonly<Record<string, string>> = {
  private_address:
    'The name leads to an address that is not public: write a public one into the variable, or set WEBHOOK_ALLOW_PRIVATE=on for a receiver in your own network.',
  redirect: 'Redirects are not followed: write the final address into the variable.',
}

export const addWebhook: AddCommand = (program, { terminal, env, finish }) => {
  program
    .command('webhook')
    .summary('call the webhook of an app with a test event')
    .description(
      'Calls the webhook of one app with a signed test event, as the service does, with the environment of the service.',
    )
    .argument('<app>')
    .option('--json', 'print one JSON object')
    .addHelpText('after', help)
    .action(async (app: string, { json }: { json?: boolean }) => {
      const { callForTest } = await import('./call-webhook.ts')
      const result = await callForTest(env, app)
      const { taken, ...why } = { reason: undefined, reply: undefined, cause: undefined, ...result }
      const todo = why.reason === undefined ? undefined : remedies[why.reason]
      const facts = Object.entries(why).flatMap(([name, value]) => (value ? `${name} ${value}` : []))
      if (json) terminal.out(JSON.stringify(result))
      else if (taken) terminal.out(`The receiver of ${app} took the test event.`)
      else
        terminal.err(
          `jwt-mailer: the receiver of ${app} did not take the test event: ${facts.join(', ')}${todo ? `. ${todo}` : ''}`,
        )
      finish(taken ? 0 : 1)
    })
}
