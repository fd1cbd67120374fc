/** Owns the preview of the tests: the whole service, its real inbox behind it, and a copy of the mails to spoil. */
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import type { CatalogueOptions } from '../../src/mails/catalogue.ts'
import { mimeBuilder } from '../../src/mime/mime.ts'
import type { PreviewRoutesOptions } from '../../src/http/routes/preview.ts'
import { openInbox } from '../../src/dev/inbox-server.ts'
import type { ServiceParts } from '../../src/compose.ts'
import { smtpTransport } from '../../src/transport/smtp.ts'
import { testApp } from './app.ts'
import { loadCatalogue } from './catalogue.ts'

export const builtInMails = fileURLToPath(new URL('../../mails', import.meta.url))
/** How many mails are built in; each kind is there in five languages. */
export const builtInCount = readdirSync(join(builtInMails, 'default')).filter((name) =>
  name.endsWith('.md'),
).length
export const varianceMails = fileURLToPath(new URL('../../examples/variance/mails', import.meta.url))

export function mailsIn(dir: string): CatalogueOptions {
  const sender = { senderName: 'Example', senderAddress: 'noreply@mail.example.com' }
  return { dir, appName: 'Example', ...sender, allowHttpLinks: true }
}

/** A folder that is gone when the test ends; what `from` holds is copied into it. */
export function temporaryFolder(from?: string): string {
  const dir = mkdtempSync(join(tmpdir(), 'jwt-mailer-test-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  if (from) cpSync(from, dir, { recursive: true })
  return dir
}

/** Everything is closed when the test ends. */
export async function previewApp(
  options: Partial<PreviewRoutesOptions> = {},
  routes: ServiceParts['routes'] = {},
) {
  const inbox = await openInbox()
  const buildMime = await mimeBuilder()
  const transport = smtpTransport({
    name: 'inbox',
    host: '127.0.0.1',
    port: inbox.port,
    tls: 'off',
    auth: undefined,
    ehloName: 'mail.example.com',
    buildMime,
  })
  onTestFinished(async () => {
    await transport.close()
    await inbox.close()
  })
  const service = await testApp({
    routes: {
      inbox: { inbox },
      preview: {
        catalogue: loadCatalogue(mailsIn(builtInMails)),
        buildMime,
        sendToInbox: (message) => transport.send(message),
        ...options,
      },
      ...routes,
    },
  })
  return { ...service, inbox }
}
