/**
 * Owns the container's question to the running service: does it still answer? Exit code 0 says yes, 1 says no.
 * A program of its own because a slim image has no curl. It reads the two variables that say where the service
 * listens by itself: the whole configuration would have to be valid only to ask.
 */
const timeoutMs = 3000

const everywhere = new Set(['', '0.0.0.0', '::'])
const host = process.env.HOST ?? ''
const name = everywhere.has(host) ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host
const url = `http://${name}:${process.env.PORT || 8080}/health/live`

try {
  const answer = await fetch(url, { signal: AbortSignal.timeout(timeoutMs), redirect: 'error' })
  await answer.body?.cancel()
  process.exitCode = answer.ok ? 0 : 1
} catch {
  process.exitCode = 1
}
