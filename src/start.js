/** Owns the start on any Node: refuses one that is too old, reads `.env`, then starts the service. Plain JavaScript, because an old Node cannot read TypeScript. */
import { existsSync } from 'node:fs'
import module from 'node:module'

const [major] = process.versions.node.split('.').map(Number)
if (major < 24) {
  console.error(
    `jwt-mailer needs Node 24, this is ${process.versions.node}. Run "npm ci && npm start": npm brings the right one along.`,
  )
  process.exit(1)
}
// halves the time of the second and later starts; when the cache cannot be written, nothing happens
module.enableCompileCache()
if (existsSync('.env')) process.loadEnvFile('.env')
const { main } = await import('./server.ts')
await main()
