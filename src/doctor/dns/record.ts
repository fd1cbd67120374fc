/** Owns what DKIM and DMARC records have in common: `tag=value; tag=value`, and the domains above a domain. */

/** Tags in lower case; of a tag given twice the first counts. */
export function tagsOf(record: string): Map<string, string> {
  const tags = new Map<string, string>()
  for (const part of record.split(';')) {
    const at = part.indexOf('=')
    const tag = part.slice(0, at).trim().toLowerCase()
    if (at > 0 && !tags.has(tag)) tags.set(tag, part.slice(at + 1).trim())
  }
  return tags
}

/** The domain and those above it, down to two labels: to go further needs the public suffix list. */
export function parentsOf(domain: string): string[] {
  const labels = domain.split('.')
  return Array.from({ length: Math.max(1, labels.length - 1) }, (_, index) => labels.slice(index).join('.'))
}
