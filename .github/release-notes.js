/** Prints what CHANGELOG.md says of the version of a tag (v1.2.3). Ends with 1 when it says nothing. */
import { readFileSync } from 'node:fs'

const [, , tag = ''] = process.argv
const sections = readFileSync('CHANGELOG.md', 'utf8').split(/^## /m)
const section = sections.find((text) => text.startsWith(`[${tag.replace(/^v/, '')}]`))
if (section === undefined) {
  console.error(`CHANGELOG.md has no section for ${tag}: rename [Unreleased] before you tag.`)
  process.exit(1)
}
console.log(section.slice(section.indexOf('\n')).trim())
