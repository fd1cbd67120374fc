import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { inboxApp } from '../../support/inbox.ts'

const confirmUrl = 'https://app.example.com/confirm?token=eyJh.eyJz.c2ln-_~&to=a'

test('the list gives sender, recipient, subject, date and size of each mail, newest first', async () => {
  const { app, inbox, send } = await inboxApp()
  await send({ subject: 'First' })
  const id = await send({
    from: { name: 'Größe & Söhne', address: 'shop@example.com' },
    to: 'Ada <ada@example.org>',
    subject: 'Zweite Prüfung ✓',
  })
  const [mail, older, ...rest] = (await app.inject('/inbox/messages')).json()
  expect(mail).toEqual({
    id,
    from: { name: 'Größe & Söhne', address: 'shop@example.com' },
    to: [{ name: 'Ada', address: 'ada@example.org' }],
    subject: 'Zweite Prüfung ✓',
    date: inbox.find(id)?.receivedAt.toISOString(),
    size: inbox.find(id)?.source.length,
    repeats: 0,
  })
  expect(older.subject).toBe('First')
  expect(rest).toEqual([])
})

test('one mail comes with its envelope, its headers in order, both parts and its links', async () => {
  const { app, send } = await inboxApp()
  const id = await send({
    envelope: { from: 'bounce@example.com', to: ['ada@example.org'] },
    to: 'someone.else@example.org',
    headers: { 'X-Twice': ['one', 'two ✓'] },
    text: `Confirm: ${confirmUrl}\nHelp: https://help.example.com.\n`,
    html: `<p>Hi</p><a style="x" href="${confirmUrl.replaceAll('&', '&amp;')}">Confirm</a>`,
  })
  const mail = (await app.inject(`/inbox/messages/${id}`)).json()
  expect(mail).toMatchObject({
    id,
    subject: 'Hello',
    to: [{ name: '', address: 'someone.else@example.org' }],
    envelope: { from: 'bounce@example.com', to: ['ada@example.org'] },
    text: `Confirm: ${confirmUrl}\nHelp: https://help.example.com.\n`,
    links: [confirmUrl, 'https://help.example.com'],
  })
  expect(mail.html).toMatch(/^<p>Hi<.*<\/a>$/)
  const names = mail.headers.map((header: { name: string }) => header.name)
  expect(names.slice(0, 2)).toEqual(['X-Twice', 'X-Twice'])
  expect(names.indexOf('From')).toBeLessThan(names.indexOf('Subject'))
  expect(mail.headers[1]).toEqual({ name: 'X-Twice', value: 'two ✓' })
})

test.each([
  ['quotes of either kind or none', `<a href='https://a.example/1'>x</a><a href=https://a.example/2>y</a>`],
  [
    'character references',
    '<a href="https&#58;//a.example/&#x31;">x</a> <A HREF="https://a.example/2">y</A>',
  ],
])('links are found with %s', async (_case, html) => {
  const { app, send } = await inboxApp()
  const id = await send({ html })
  const { links } = (await app.inject(`/inbox/messages/${id}`)).json()
  expect(links).toEqual(['https://a.example/1', 'https://a.example/2'])
})

test('only web addresses count as links, each once', async () => {
  const { app, send } = await inboxApp()
  const id = await send({
    text: 'https://a.example/ https://a.example/ http://[broken',
    html: '<a href="javascript:alert(1)">a</a><a href="data:text/html,x">b</a><a href="mailto:a@b.c">c</a><a>d</a>',
  })
  expect((await app.inject(`/inbox/messages/${id}`)).json().links).toEqual(['https://a.example/'])
})

test('a mail of a megabyte made to slow the link search down is read within seconds, not minutes', async () => {
  const { app, send } = await inboxApp()
  const id = await send({ html: '<a '.repeat(100_000) + ' href='.repeat(50_000) + 'https://'.repeat(30_000) })
  // minutes would be longer than a test may take
  expect((await app.inject(`/inbox/messages/${id}`)).statusCode).toBe(200)
})

test('a mail without an HTML part says so with null and has no HTML view', async () => {
  const { app, send } = await inboxApp()
  const id = await send({ text: 'Only words' })
  expect((await app.inject(`/inbox/messages/${id}`)).json()).toMatchObject({
    text: 'Only words',
    html: null,
  })
  expect((await app.inject(`/inbox/messages/${id}/html`)).statusCode).toBe(404)
})

test('a mail nested beyond all measure still shows its headers', async () => {
  const { app, send } = await inboxApp()
  const nest = Array.from(
    { length: 400 },
    (_, i) => `--b${i}\r\nContent-Type: multipart/mixed; boundary=b${i + 1}\r\n\r\n`,
  )
  const head =
    'From: shop@example.com\r\nSubject: Deep\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b0\r\n\r\n'
  const id = await send({ raw: head + nest.join('') })
  const answer = await app.inject(`/inbox/messages/${id}`)
  expect(answer.json()).toMatchObject({ subject: 'Deep', to: [], html: null, links: [] })
})

test('the source is the mail byte for byte, as plain text', async () => {
  const { app, inbox, send } = await inboxApp()
  const id = await send({ html: '<script>alert(1)</script>' })
  const answer = await app.inject(`/inbox/messages/${id}/source`)
  expect(answer.headers['content-type']).toBe('text/plain; charset=utf-8')
  expect(answer.rawPayload).toEqual(inbox.find(id)?.source)
})

test('the HTML view is locked up: no scripts, no network, an origin of its own', async () => {
  const { app, send } = await inboxApp()
  const id = await send({ html: '<p>Hi</p>' })
  const answer = await app.inject(`/inbox/messages/${id}/html`)
  expect(answer.headers['content-type']).toBe('text/html; charset=utf-8')
  expect(answer.headers['content-security-policy']).toBe(
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'",
  )
})

test.each([
  [
    'after the head tag',
    '<!doctype html><html><head lang="en"><title>x',
    '<!doctype html><html><head lang="en">|<title>x',
  ],
  ['after the doctype', ' <!DOCTYPE html><header>x', ' <!DOCTYPE html>|<header>x'],
  ['first of all', '<p>x', '|<p>x'],
])('its links open in a tab of their own, told so %s', async (_case, html, expected) => {
  const { app, send } = await inboxApp()
  const id = await send({ html })
  const answer = await app.inject(`/inbox/messages/${id}/html`)
  expect(answer.body).toBe(expected.replace('|', '<base target="_blank">'))
})

test('clearing leaves an empty list', async () => {
  const { app, send } = await inboxApp()
  await send()
  expect((await app.inject({ method: 'DELETE', url: '/inbox/messages' })).statusCode).toBe(204)
  expect((await app.inject('/inbox/messages')).json()).toEqual([])
})

test('an unknown mail is answered with our not_found', async () => {
  const { app } = await inboxApp()
  for (const view of ['', '/html', '/source']) {
    const answer = await app.inject(`/inbox/messages/0000000000${view}`)
    expect(answer.statusCode).toBe(404)
    expect(answer.json()).toEqual({ error: 1, msg: 'Not found', code: 'not_found' })
  }
})

test('no answer is stored, sniffed, framed by others or followed by a referrer', async () => {
  const { app, send } = await inboxApp()
  const id = await send({ html: '<p>Hi</p>' })
  const urls = [
    '',
    '/messages',
    `/messages/${id}`,
    `/messages/${id}/html`,
    `/messages/${id}/source`,
    '/messages/x',
  ]
  for (const url of urls) {
    const { headers } = await app.inject(`/inbox${url}`)
    expect(headers).toMatchObject({
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    })
    expect(headers['content-security-policy']).toContain("default-src 'none'")
  }
})

test('the page may run its one script and wear its one style, and asks nobody else', async () => {
  const { app } = await inboxApp()
  const { body, headers } = await app.inject('/inbox')
  const policy = String(headers['content-security-policy'])
  for (const tag of ['script', 'style']) {
    const [, content = ''] = new RegExp(`<${tag}>(.*?)</${tag}>`, 's').exec(body) ?? []
    expect(policy).toContain(`${tag}-src 'sha256-${createHash('sha256').update(content).digest('base64')}';`)
  }
  expect(policy).not.toMatch(/unsafe|\*|http/)
  expect(body).not.toMatch(/(src|href|action)="(https?:|\/\/)/)
})

test('the hint stands on the page as text, made anew for each page when it is a function', async () => {
  let count = 0
  const { app } = await inboxApp({ hint: () => `curl '<b>$&' # ${++count}` })
  expect((await app.inject('/inbox')).body).toContain(
    '<code id="hint">curl &#39;&lt;b&gt;$&amp;&#39; # 1</code>',
  )
  expect((await app.inject('/inbox')).body).toContain('# 2</code>')
})

const answerId = 'Q'.repeat(32)

test('a mail of the service has the id of its answer, and counts the requests that it answered', async () => {
  const { app, inbox, send } = await inboxApp()
  const id = await send({ messageId: `<${answerId}-mwy5r80e@example.com>` })
  expect(id).toBe(answerId)
  inbox.noteRepeat(answerId)
  inbox.noteRepeat('unknown')
  const [row] = (await app.inject('/inbox/messages')).json()
  expect(row).toMatchObject({ id: answerId, repeats: 1 })
  expect(await send({ messageId: '<preview-0123456789abcdef@example.com>' })).toBe('preview-0123456789abcdef')
})

test.each(['<short-1@example.com>', `<${answerId}@example.com>`, `<${answerId}-../x@example.com>`])(
  'a mail whose Message-ID is %s has an id of its own',
  async (messageId) => {
    const { send } = await inboxApp()
    expect(await send({ messageId, text: `Message-ID: <${answerId}-1@example.com>` })).toMatch(
      /^[0-9a-f]{10}$/,
    )
  },
)

test('the same mail once more takes the place of the earlier one', async () => {
  const { inbox, send } = await inboxApp()
  const messageId = `<${answerId}-1@example.com>`
  await send({ messageId, subject: 'One' })
  await send({ subject: 'Other' })
  await send({ messageId, subject: 'Two' })
  expect(inbox.list().map(({ source }) => /Subject: (\w+)/.exec(source.toString())![1])).toEqual([
    'Two',
    'Other',
  ])
})

test('a test of your own asks by the recipient of the envelope, and gets link, code and parts', async () => {
  const { app, send } = await inboxApp()
  await send({ to: 'bob@example.org' })
  const text = `Confirm:\n${confirmUrl}\n\nUse this key:\n\n    7hK2pQ\n`
  const id = await send({ text, html: `<a href="${confirmUrl}">Confirm</a>` })
  const mails = (await app.inject('/inbox/messages?to=Ada@example.org')).json()
  expect(mails).toMatchObject([{ id, link: confirmUrl, code: '7hK2pQ', text, links: [confirmUrl] }])
  expect((await app.inject('/inbox/messages?to=nobody@example.org')).json()).toEqual([])
})

test('it waits until the mail is there', async () => {
  const { app, send } = await inboxApp()
  const waiting = app.inject('/inbox/messages?to=ada@example.org&wait=30s')
  await send({ to: 'bob@example.org' })
  const id = await send({ text: 'Your code\n\n493027\n' })
  expect((await waiting).json()).toMatchObject([{ id, code: '493027' }])
})

test('it waits no longer than it was asked to', async () => {
  const { app } = await inboxApp()
  expect((await app.inject('/inbox/messages?to=ada@example.org&wait=1s')).json()).toEqual([])
})

test('it waits no longer than the service lives', async () => {
  const { app, inbox } = await inboxApp()
  const listen = inbox.onMail
  const listening = new Promise<void>((resolve) => {
    inbox.onMail = (listener) => {
      resolve()
      return listen(listener)
    }
  })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const waiting = fetch(`${url}/inbox/messages?to=ada@example.org&wait=60s`)
  await listening
  await app.close()
  expect(await (await waiting).json()).toEqual([])
})

test.each(['wait=1h', 'wait=-1', 'wait=100', 'to=', 'from=x'])('?%s is refused', async (query) => {
  const { app } = await inboxApp()
  expect((await app.inject(`/inbox/messages?${query}`)).statusCode).toBe(400)
})

test('one mail can be deleted', async () => {
  const { app, send } = await inboxApp()
  const first = await send({ subject: 'First' })
  const second = await send({ subject: 'Second' })
  expect((await app.inject({ method: 'DELETE', url: `/inbox/messages/${first}` })).statusCode).toBe(204)
  expect((await app.inject('/inbox/messages')).json()).toMatchObject([{ id: second }])
  expect((await app.inject({ method: 'DELETE', url: `/inbox/messages/${first}` })).statusCode).toBe(404)
})

test('the root of a development service leads to the inbox', async () => {
  const { app } = await inboxApp()
  const answer = await app.inject('/')
  expect({ status: answer.statusCode, location: answer.headers.location }).toEqual({
    status: 302,
    location: 'inbox',
  })
})
