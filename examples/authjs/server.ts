/** Starts the site: a page that says who is signed in, and the pages of Auth.js below /auth. */
import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Auth } from '@auth/core'
import { authConfig } from './auth.ts'

const {
  PORT = '3000',
  MAILER_URL = 'http://localhost:8080',
  JWT_MAILER_SECRET = '',
  SITE_SECRET,
} = process.env
if (JWT_MAILER_SECRET === '') {
  console.error('Set JWT_MAILER_SECRET to the secret that you share with the mailer.')
  process.exit(1)
}
const siteUrl = `http://localhost:${PORT}`
const config = authConfig({
  mailerUrl: MAILER_URL,
  mailerSecret: JWT_MAILER_SECRET,
  siteSecret: SITE_SECRET ?? randomBytes(32).toString('hex'),
})
const maxBodyBytes = 16 * 1024

createServer((request, response) => {
  answer(request, response).catch(() => response.writeHead(400).end())
}).listen(Number(PORT), '127.0.0.1', () =>
  console.log(`The site is at ${siteUrl}, its mails in ${MAILER_URL}/inbox`),
)

async function answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const request = await readRequest(incoming)
  const isAuth = new URL(request.url).pathname.startsWith('/auth/')
  const response = isAuth ? await Auth(request, config) : await home(request)
  const headers = { ...Object.fromEntries(response.headers), 'set-cookie': response.headers.getSetCookie() }
  outgoing.writeHead(response.status, headers)
  outgoing.end(await response.text())
}

/** Node's request as the web's, which Auth.js takes. */
async function readRequest(incoming: IncomingMessage): Promise<Request> {
  const headers = new Headers()
  for (const [name, value] of Object.entries(incoming.headers)) headers.set(name, String(value))
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxBodyBytes) throw new Error('too large')
    chunks.push(chunk)
  }
  const { method = 'GET' } = incoming
  const hasBody = method !== 'GET' && method !== 'HEAD'
  return new Request(new URL(incoming.url ?? '/', siteUrl), {
    method,
    headers,
    ...(hasBody && { body: Buffer.concat(chunks) }),
  })
}

/** Asks Auth.js who is signed in, as a page of its own would. */
async function home({ headers }: Request): Promise<Response> {
  const asked = new Request(new URL('/auth/session', siteUrl), { headers })
  const session: { user?: { email?: string } } | null = await (await Auth(asked, config)).json()
  const email = session?.user?.email
  const body = email
    ? `<p>Signed in as ${escapeHtml(email)}.</p><p><a href="/auth/signout">Sign out</a></p>`
    : '<p><a href="/auth/signin">Sign in by a mail</a></p>'
  return new Response(
    `<!doctype html><html lang="en"><meta charset="utf-8"><title>Auth.js</title>${body}</html>`,
  )
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
