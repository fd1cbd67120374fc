#!/usr/bin/env node
/** The command: a file that any Node can read, which says which Node it needs, reads `.env`, then does what it is told. */
import { existsSync } from 'node:fs'
import module from 'node:module'

const [major] = process.versions.node.split('.').map(Number)
if (major < 24) {
  console.error(
    `jwt-mailer needs Node 24, this is ${process.versions.node}. In a checkout of it, after npm ci, "npx jwt-mailer" finds the right one.`,
  )
  process.exit(2)
}
module.enableCompileCache()
if (existsSync('.env')) process.loadEnvFile('.env')
// `jwt-mailer … | head` reads no further than it wants
process.stdout.on('error', (error) => process.exit(error.code === 'EPIPE' ? 0 : 2))
// a checkout runs from its source; Node compiles none below node_modules, so a package brings it compiled
const cli = existsSync(new URL('cli.ts', import.meta.url)) ? './cli.ts' : '../dist/cli.js'
const { runCommand } = await import(cli)
process.exitCode = await runCommand(process.argv.slice(2))
