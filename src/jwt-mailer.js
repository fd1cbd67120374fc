#!/usr/bin/env node
/** Owns the command on any Node: refuses one that is too old, reads `.env`, then runs the command. Plain JavaScript, because an old Node cannot read TypeScript. */
import { existsSync } from 'node:fs'
import { enableOwnCompileCache, loadOwnEnvFile } from './own-files.js'

const [major] = process.versions.node.split('.').map(Number)
if (major < 24) {
  console.error(
    `jwt-mailer needs Node 24, this is ${process.versions.node}. In a checkout of it, after npm ci, "npx jwt-mailer" finds the right one.`,
  )
  process.exit(2)
}
enableOwnCompileCache()
const distrust = loadOwnEnvFile()
if (distrust !== undefined) {
  console.error(distrust)
  process.exit(2)
}
// `jwt-mailer … | head` closes the pipe early
process.stdout.on('error', (error) => process.exit(error.code === 'EPIPE' ? 0 : 2))
// a checkout runs from its sources; Node strips no types below node_modules, so the package holds them compiled
const cli = existsSync(new URL('cli.ts', import.meta.url)) ? './cli.ts' : '../dist/src/cli.js'
const { runCommand } = await import(cli)
process.exitCode = await runCommand(process.argv.slice(2))
