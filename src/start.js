/** The one file that any Node can read: it says which Node the service needs, reads `.env`, then starts the service. */
import { existsSync } from 'node:fs'
import module from 'node:module'

const [major] = process.versions.node.split('.').map(Number)
if (major < 24) {
  console.error(
    `jwt-mailer needs Node 24, this is ${process.versions.node}. Run "npm ci && npm start": npm brings the right one along.`,
  )
  process.exit(1)
}
// halves the start from the second time on; where there is no room for it, nothing happens
module.enableCompileCache()
if (existsSync('.env')) process.loadEnvFile('.env')
const { main } = await import('./server.ts')
await main()
