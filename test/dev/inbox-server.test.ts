import { createConnection } from 'node:net'
import { createTransport } from 'nodemailer'
import { afterEach, expect, test } from 'vitest'
import { type Inbox, type InboxOptions, openInbox } from '../../src/dev/inbox-server.ts'
import { within } from '../../src/timers.ts'

const open: Inbox[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((inbox) => inbox.close()))
})

async function newInbox(options: InboxOptions = {}): Promise<Inbox> {
  const inbox = await openInbox(options)
  open.push(inbox)
  return inbox
}

function mailTo(inbox: Inbox, mail: object = {}) {
  const transport = createTransport({ host: '127.0.0.1', port: inbox.port, ignoreTLS: true })
  return transport.sendMail({
    from: 'shop@example.com',
    to: 'ada@example.org',
    subject: 'Hello',
    text: 'Hi',
    ...mail,
  })
}

const bodies = (inbox: Inbox) =>
  inbox.list().map((mail) => mail.source.toString().split('\r\n\r\n')[1]?.trim())

const lines = (letter: string, count: number) => Array(count).fill(letter.repeat(70)).join('\r\n')

test('a mail sent over SMTP is found whole, with the envelope it travelled in', async () => {
  const inbox = await newInbox({ now: () => new Date('2026-03-01T12:00:00Z') })
  await mailTo(inbox, {
    text: '.a line that starts with a dot\n',
    envelope: { from: 'bounce@example.com', to: ['ada@example.org', 'bob@example.org'] },
  })
  const [mail] = inbox.list()
  expect(mail).toMatchObject({
    receivedAt: new Date('2026-03-01T12:00:00Z'),
    envelope: { from: 'bounce@example.com', to: ['ada@example.org', 'bob@example.org'] },
  })
  expect(mail?.source.toString()).toMatch(/^From: shop@example\.com\r\n/)
  expect(mail?.source.toString()).toMatch(/\r\n\r\n\.a line that starts with a dot\r\n$/)
  expect(inbox.find(mail?.id ?? '')).toBe(mail)
})

test('the newest mail stands first, each under a short id of its own', async () => {
  const inbox = await newInbox()
  for (const text of ['one', 'two', 'three']) await mailTo(inbox, { text })
  expect(bodies(inbox)).toEqual(['three', 'two', 'one'])
  const ids = inbox.list().map((mail) => mail.id)
  expect(new Set(ids).size).toBe(3)
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{10}$/)
})

test('beyond the number of mails it keeps, the oldest is forgotten', async () => {
  const inbox = await newInbox({ max: 2 })
  await mailTo(inbox, { text: 'one' })
  const oldest = inbox.list()[0]
  for (const text of ['two', 'three']) await mailTo(inbox, { text })
  expect(bodies(inbox)).toEqual(['three', 'two'])
  expect(inbox.find(oldest?.id ?? '')).toBeUndefined()
})

test('beyond the bytes it keeps, as many old mails are forgotten as it takes, never the newest', async () => {
  const inbox = await newInbox({ maxTotalBytes: 2500 })
  for (const letter of ['a', 'b', 'c']) await mailTo(inbox, { text: lines(letter, 10) })
  expect(bodies(inbox)).toEqual([lines('c', 10), lines('b', 10)])
  await mailTo(inbox, { text: lines('d', 60) })
  expect(bodies(inbox)).toEqual([lines('d', 60)])
  await mailTo(inbox, { text: 'small' })
  expect(bodies(inbox)).toEqual(['small'])
})

test('a mail over the size limit is refused with 552 and the next one still arrives', async () => {
  const inbox = await newInbox({ maxBytes: 2000 })
  const transport = createTransport({ host: '127.0.0.1', port: inbox.port, ignoreTLS: true, pool: true })
  const tooLarge = { from: 'shop@example.com', to: 'ada@example.org', text: 'x'.repeat(4000) }
  await expect(transport.sendMail(tooLarge)).rejects.toMatchObject({ responseCode: 552 })
  await transport.sendMail({ ...tooLarge, text: 'small' })
  transport.close()
  expect(bodies(inbox)).toEqual(['small'])
})

test('one connection may send a hundred mails without ever logging in', async () => {
  const inbox = await newInbox()
  const transport = createTransport({
    host: '127.0.0.1',
    port: inbox.port,
    ignoreTLS: true,
    pool: true,
    maxConnections: 1,
    maxMessages: Number.POSITIVE_INFINITY,
  })
  const mail = { from: 'shop@example.com', to: 'ada@example.org', text: 'again' }
  await Promise.all(Array.from({ length: 100 }, () => transport.sendMail(mail)))
  transport.close()
  expect(inbox.list()).toHaveLength(100)
})

test('the server offers neither TLS nor a login, so that nothing is asked for', async () => {
  const inbox = await newInbox()
  const greeting = await talk(inbox.port, 'EHLO client.example\r\nQUIT\r\n')
  expect(greeting).toMatch(/250[ -]SIZE 1048576/)
  expect(greeting).not.toMatch(/STARTTLS|AUTH/)
})

test('a client that hangs up in the middle of a mail leaves nothing behind', async () => {
  const inbox = await newInbox()
  const half = 'EHLO c\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nSubject: half\r\n'
  const socket = await greeted(inbox.port)
  socket.write(half)
  await new Promise((resolve) => setTimeout(resolve, 100))
  socket.resetAndDestroy()
  await mailTo(inbox, { text: 'whole' })
  expect(bodies(inbox)).toEqual(['whole'])
})

test('clearing empties it, and it goes on taking mail', async () => {
  const inbox = await newInbox()
  await mailTo(inbox)
  inbox.clear()
  expect(inbox.list()).toEqual([])
  await mailTo(inbox)
  expect(inbox.list()).toHaveLength(1)
})

test('a port in use is refused with the reason', async () => {
  const inbox = await newInbox()
  await expect(openInbox({ port: inbox.port })).rejects.toMatchObject({ code: 'EADDRINUSE' })
})

test('it closes soon although a client stays connected', async () => {
  const inbox = await openInbox()
  const socket = await greeted(inbox.port)
  const closed = new Promise((resolve) => socket.once('close', resolve))
  const both = Promise.all([closed, inbox.close()])
  // by itself the server would wait for 30 s
  expect(await within(10_000, both)).toBeDefined()
  await expect(greeted(inbox.port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})

function greeted(port: number): Promise<ReturnType<typeof createConnection>> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(port, '127.0.0.1').once('error', reject)
    socket.once('data', () => resolve(socket))
  })
}

async function talk(port: number, commands: string): Promise<string> {
  const socket = await greeted(port)
  socket.write(commands)
  let answer = ''
  for await (const chunk of socket) answer += chunk
  return answer
}
