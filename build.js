/** Owns what `npm run build` adds to the compiled files, so that dist lies like the checkout: pages, mails, and no second package.json. */
import { cpSync, rmSync } from 'node:fs'

cpSync('mails', 'dist/mails', { recursive: true })
cpSync('src/http/routes', 'dist/src/http/routes', {
  recursive: true,
  filter: (name) => !name.endsWith('.ts'),
})
// tsc writes it, because a file imports it; the imports say `jwt-mailer/package.json`, which is the one at the root
rmSync('dist/package.json', { force: true })
