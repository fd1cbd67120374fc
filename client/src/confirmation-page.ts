/**
 * Owns the page behind a link. Mail scanners and chat programs open every link they see, so a GET must neither confirm
 * nor burn anything: it shows a button, and the POST of that button does the work.
 */

export interface ConfirmationPageOptions {
  readonly title: string
  readonly text: string
  /** What the button says. */
  readonly button: string
  /** Where the button posts to; without it the address of the page itself, token and all. */
  readonly action?: string
  /** Hidden fields, for example against forged requests. */
  readonly fields?: Readonly<Record<string, string>>
  /** The page's language, `en` without. */
  readonly lang?: string
}

export interface Page {
  readonly status: 200
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const style = `
:root { color-scheme: light dark }
body { font: 1.05rem/1.5 system-ui, sans-serif; max-width: 30rem; margin: 15vh auto; padding: 0 1.25rem }
h1 { font-size: 1.5rem; line-height: 1.25 }
button { font: inherit; font-weight: 600; padding: .7rem 1.4rem; border: 0; border-radius: .5rem; cursor: pointer;
  background: #1f5eff; color: #fff }
button:focus-visible { outline: 3px solid #8db0ff; outline-offset: 2px }`

/** Serve it as it is, on GET and HEAD. Every text is escaped; the page runs no script and loads nothing. */
export function confirmationPage(options: ConfirmationPageOptions): Page {
  const { title, text, button, action, fields = {}, lang = 'en' } = options
  const hidden = Object.entries(fields).map(
    ([name, value]) => `<input type="hidden" name="${escapeHtml(name)}" value="${escapeHtml(value)}">\n`,
  )
  const body = `<!doctype html>
<html lang="${escapeHtml(lang)}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${style}
</style>
<main>
<h1>${escapeHtml(title)}</h1>
<p>${escapeHtml(text)}</p>
<form method="post"${action === undefined ? '' : ` action="${escapeHtml(action)}"`}>
${hidden.join('')}<button>${escapeHtml(button)}</button>
</form>
</main>
</html>
`
  return { status: 200, headers, body }
}

/** The address of the page is the token: it may go into no cache, no Referer and no index. */
const headers = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-robots-tag': 'noindex',
  'x-content-type-options': 'nosniff',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
} as const

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character]!)
}
