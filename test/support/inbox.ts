/** Owns the inbox of the tests: the real SMTP server, its routes on an app of their own, and a way to mail to it. */
import Fastify from 'fastify'
import { createTransport, type SendMailOptions } from 'nodemailer'
import { onTestFinished } from 'vitest'
import { failureAnswer } from '../../src/contract.ts'
import { type InboxRoutesOptions, inboxRoutes } from '../../src/http/routes/inbox.ts'
import { openInbox } from '../../src/dev/inbox-server.ts'

/** Everything is closed when the test ends. `send` resolves to the id of the mail. */
export async function inboxApp(options: Omit<InboxRoutesOptions, 'inbox'> = {}) {
  const inbox = await openInbox()
  const app = Fastify()
  app.setErrorHandler((error, _request, reply) => {
    const { status, answer } = failureAnswer(error)
    return reply.code(status).send(answer)
  })
  await app.register(inboxRoutes, { inbox, ...options })
  const transport = createTransport({ host: '127.0.0.1', port: inbox.port, ignoreTLS: true })
  onTestFinished(async () => {
    await app.close()
    await inbox.close()
  })
  const send = async (mail: SendMailOptions = {}) => {
    await transport.sendMail({ from: 'shop@example.com', to: 'ada@example.org', subject: 'Hello', ...mail })
    return inbox.list()[0]?.id ?? ''
  }
  return { app, inbox, send }
}
