/** Reads the structure of an HTML part: its tags with their attributes, in order, without any text between them. */

/**
 * Tags with their attributes and comments, without the text between them. Addresses of links and the label, which hold
 * values, count as present only; line breaks are left out, because values may have them where they stand alone.
 */
export function structureOf(html: string): string {
  return html
    .replace(/<br>\n?/g, '')
    .replace(/>[^<]*/g, '>')
    .replace(/(href|aria-label)="[^"]*"/g, '$1')
}

/** The characters a reader sees, entities resolved, without layout. */
export function textOfHtml(html: string): string {
  const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" }
  return html
    .replace(/<style>[\s\S]*?<\/style>|<title>[\s\S]*?<\/title>/g, '')
    .replace(/<br>\n?/g, '\n')
    .replace(/<!--[\s\S]*?-->|<[^>]*>/g, '')
    .replace(/&(amp|lt|gt|quot|#39);/g, (_, name: string) => entities[name]!)
}
