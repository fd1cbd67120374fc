/** Starts the site: a page with a form, and better-auth below /api/auth. */
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { toNodeHandler } from 'better-auth/node'
import { openAuth } from './auth.ts'
import { page } from './page.ts'

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
const auth = await openAuth({
  siteUrl,
  mailerUrl: MAILER_URL,
  mailerSecret: JWT_MAILER_SECRET,
  siteSecret: SITE_SECRET ?? randomBytes(32).toString('hex'),
  database: process.env['DATABASE'] ?? ':memory:',
})
const answerAuth = toNodeHandler(auth)

createServer((request, response) => {
  if (request.url?.startsWith('/api/auth/')) void answerAuth(request, response)
  else
    response
      .writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'referrer-policy': 'no-referrer' })
      .end(page)
}).listen(Number(PORT), '127.0.0.1', () =>
  console.log(`The site is at ${siteUrl}, its mails in ${MAILER_URL}/inbox`),
)
