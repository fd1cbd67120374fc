/** Owns the start on any Node: refuses one that is too old, reads `.env`, then starts the service. Plain JavaScript, because an old Node cannot read TypeScript. */
import { enableOwnCompileCache, loadOwnEnvFile } from './own-files.js'

const [major] = process.versions.node.split('.').map(Number)
if (major < 24) {
  console.error(
    `jwt-mailer needs Node 24, this is ${process.versions.node}. Run "npm ci && npm start": npm brings the right one along.`,
  )
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
