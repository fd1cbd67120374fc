/** Owns the start on any Node: refuses one that is too old, reads `.env`, then starts the service. Plain JavaScript, because an old Node cannot read TypeScript. */
import { existsSync } from 'node:fs'
import { enableOwnCompileCache, loadOwnEnvFile } from './own-files.js'

const [major] = process.versions.node.split('.').map(Number)
if (major < 24) {
  // npm installs the right Node only with the tools of development
  const todo = existsSync(new URL('../node_modules/node/package.json', import.meta.url))
    ? 'Start it with "npm start", which uses the Node that npm ci has installed.'
    : 'Install Node 24 (https://nodejs.org, or the image node:24), or run "npm ci --include=dev && npm start", which brings it along.'
  console.error(`jwt-mailer needs Node 24, this is ${process.versions.node}. ${todo}`)
  process.exit(1)
}
enableOwnCompileCache()
const distrust = loadOwnEnvFile()
if (distrust !== undefined) {
  console.error(`Cannot start: ${distrust}`)
  process.exit(1)
}
const { main } = await import('./server.ts')
await main()
