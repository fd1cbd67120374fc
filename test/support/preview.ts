/** Owns the preview of the tests: its routes on an app of their own, before the real inbox and a catalogue on disk. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import Fastify from 'fastify'
import { onTestFinished } from 'vitest'
import { failureAnswer } from '../../src/contract.ts'
import { loadCatalogue, type Catalogue, type CatalogueOptions } from '../../src/mails/catalogue.ts'
import { mimeBuilder } from '../../src/mails/mime.ts'
import { inboxRoutes } from '../../src/routes/inbox.ts'
import { previewRoutes, type PreviewRoutesOptions } from '../../src/routes/preview.ts'
import { openInbox } from '../../src/transport/inbox.ts'
import { smtpTransport } from '../../src/transport/smtp.ts'

const builtIn = fileURLToPath(new URL('../../mails', import.meta.url))

export function mailsIn(dir = builtIn): CatalogueOptions {
  return {
    dir,
    appName: 'Example',
    senderName: 'Example',
    senderAddress: 'noreply@mail.example.com',
    allowHttpLinks: true,
  }
}

/** A folder that is gone when the test ends; `from` is copied into it. */
export function temporaryFolder(from?: string): string {
  const dir = mkdtempSync(path.join(tmpdir(), 'mails-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  if (from) cpSync(from, dir, { recursive: true })
  return dir
}

/** The built-in mails, to be changed. */
export function copyOfMails(): string {
  return temporaryFolder(builtIn)
}

/** Everything is closed when the test ends. */
export async function previewApp(
  options: Partial<PreviewRoutesOptions> & { catalogue?: Catalogue; trustProxy?: boolean } = {},
) {
  const { trustProxy = false, ...routes } = options
  const buildMime = await mimeBuilder()
  const inbox = await openInbox()
  const transport = smtpTransport({
    name: 'inbox',
    host: '127.0.0.1',
    port: inbox.port,
    tls: 'off',
    auth: undefined,
    ehloName: 'mail.example.com',
    buildMime,
  })
  const app = Fastify({ trustProxy })
  app.setErrorHandler((error, _request, reply) => {
    const { status, answer } = failureAnswer(error)
    return reply.code(status).send(answer)
  })
  await app.register(inboxRoutes, { inbox })
  await app.register(previewRoutes, {
    catalogue: loadCatalogue(mailsIn()),
    buildMime,
    sendToInbox: (message) => transport.send(message),
    ...routes,
  })
  onTestFinished(async () => {
    await app.close()
    await transport.close()
    await inbox.close()
  })
  return { app, inbox }
}
