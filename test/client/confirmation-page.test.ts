import { expect, test } from 'vitest'
import { confirmationPage } from '../../client/src/node.ts'

const texts = { title: 'Confirm your address', text: 'One click.', button: 'Confirm' }

test('the page has a button that posts to where the page is, and nothing that runs or loads', () => {
  const { status, headers, body } = confirmationPage(texts)
  expect(status).toBe(200)
  expect(body).toContain('<form method="post">')
  expect(body).toContain('<button>Confirm</button>')
  expect(body).not.toMatch(/<script|<link|<img|https?:/)
  expect(headers).toMatchObject({
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'x-robots-tag': 'noindex',
    'content-type': 'text/html; charset=utf-8',
  })
  expect(headers['content-security-policy']).toContain("default-src 'none'")
  expect(headers['content-security-policy']).toContain("form-action 'self'")
})

test('hostile texts stay texts, in every place', () => {
  const hostile = `"><script>alert(1)</script>&'`
  const { body } = confirmationPage({
    title: hostile,
    text: hostile,
    button: hostile,
    action: hostile,
    lang: hostile,
    fields: { [hostile]: hostile },
  })
  const escaped = '&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;&#39;'
  expect(body.split(escaped)).toHaveLength(9)
  expect(body).not.toContain('<script')
})

test('hidden fields and an address of its own go with the button', () => {
  const { body } = confirmationPage({ ...texts, action: '/confirm', fields: { csrf: 'abc' }, lang: 'it' })
  expect(body).toContain('<form method="post" action="/confirm">')
  expect(body).toContain('<input type="hidden" name="csrf" value="abc">')
  expect(body).toContain('<html lang="it">')
})
