/** Owns what the site looks like: small pages that work without a script, in light and dark, on a phone and by keyboard. */

/** Text that is HTML already; everything else is escaped where it is put in. */
export class Html {
  readonly source: string
  constructor(source: string) {
    this.source = source
  }
}

type Shown = string | number | Html | undefined

export function html(literals: TemplateStringsArray, ...values: readonly Shown[]): Html {
  const shown = values.map((value) =>
    value instanceof Html ? value.source : escapeHtml(String(value ?? '')),
  )
  return new Html(literals.map((literal, index) => literal + (shown[index] ?? '')).join(''))
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
const escapeHtml = (text: string) => text.replace(/[&<>"']/g, (character) => entities[character]!)

const style = `
:root { color-scheme: light dark; --line: light-dark(#cfd4dc, #454b55); --accent: light-dark(#b3124a, #ff7aa8) }
* { box-sizing: border-box }
body { font: 1.05rem/1.5 system-ui, sans-serif; max-width: 27rem; margin: 0 auto; padding: 8vh 1.25rem;
  background: light-dark(#fbf8f6, #17181b) }
header a { font-weight: 700; color: var(--accent); text-decoration: none }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 1.5rem 0 1rem }
label { display: block; margin: 1rem 0 .3rem; font-weight: 600 }
input { font: inherit; width: 100%; padding: .6rem .7rem; border: 1px solid var(--line); border-radius: .5rem;
  background: light-dark(#fff, #22242a); color: inherit }
button { font: inherit; font-weight: 600; margin: 1.2rem .6rem 0 0; padding: .6rem 1.2rem; border: 0;
  border-radius: .5rem; background: light-dark(#b3124a, #d4376f); color: #fff; cursor: pointer }
button.quiet { background: none; color: inherit; border: 1px solid var(--line) }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
.told { padding: .7rem .9rem; border-left: .3rem solid var(--accent); background: light-dark(#fff, #22242a) }
nav { margin-top: 2rem } nav a { margin-right: 1.2rem } a { color: var(--accent) }`

export interface PageOptions {
  readonly title: string
  /** What has just happened, or what is wrong: read out at once by a screen reader. */
  readonly told?: string | undefined
  readonly body?: Html
  /** Links at the end: text and address. */
  readonly links?: readonly (readonly [string, string])[]
}

export function page({ title, told, body, links = [] }: PageOptions): string {
  const ends = links.map(([text, href]) => html`<a href="${href}">${text}</a> `.source).join('')
  return html`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · Roses &amp; Co</title>
<style>${new Html(style)}</style>
<header><a href="/">Roses &amp; Co</a></header>
<main>
<h1>${title}</h1>
${told === undefined ? undefined : html`<p class="told" role="status">${told}</p>`}
${body}
</main>
${ends === '' ? undefined : html`<nav>${new Html(ends)}</nav>`}
</html>
`.source
}

/** A form that posts to `action`, guarded against requests that other sites make. */
export function form(action: string, csrf: string, fields: Html, button: string | Html): Html {
  return html`<form method="post" action="${action}">
<input type="hidden" name="_csrf" value="${csrf}">
${fields}
${typeof button === 'string' ? html`<button>${button}</button>` : button}
</form>`
}

export const addressField = (value = '') => html`<label for="address">Email address</label>
<input id="address" name="address" type="email" autocomplete="username" required maxlength="254" value="${value}">`

export const passwordField = (
  label: string,
  autocomplete: string,
) => html`<label for="password">${label}</label>
<input id="password" name="password" type="password" autocomplete="${autocomplete}" required minlength="8" maxlength="200">`

export const codeField = html`<label for="code">Code from the mail</label>
<input id="code" name="code" inputmode="numeric" autocomplete="one-time-code" required pattern="[0-9]{6}" maxlength="6">`
