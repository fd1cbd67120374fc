/** Ends with 1 unless the tag (v1.2.3) is the version of both packages. */
import { readFileSync } from 'node:fs'

const [, , tag] = process.argv
for (const file of ['package.json', 'client/package.json']) {
  const { version } = JSON.parse(readFileSync(file, 'utf8'))
  if (tag === `v${version}`) continue
  console.error(
    `The tag is ${tag}, and ${file} says ${version}: set both versions, commit, and tag that commit.`,
  )
  process.exit(1)
}
