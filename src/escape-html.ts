/**
 * Owns how foreign text is written into HTML: mails and the pages of the service both need it.
 *
 * It is a leaf of its own because neither of these rooms may import the other for one function. The client has its own
 * copy: it is loaded into the process of a caller and brings nothing of the service along.
 */
const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Safe as HTML text and inside a quoted attribute. */
export function escapeHtml(value: string): string {
  return /[&<>"']/.test(value) ? value.replace(/[&<>"']/g, (character) => entities[character]!) : value
}
