/**
 * Owns the health check of the container: exit code 0 when the running service answers, 1 when it does not. A program
 * of its own, because a slim image has no curl. It reads HOST and PORT by itself: to read the whole configuration would
 * make the check fail for reasons that do not concern it.
 */
const timeoutMs = 3000

const allInterfaces = new Set(['', '0.0.0.0', '::'])
const host = process.env.HOST ?? ''
const name = allInterfaces.has(host) ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host
const url = `http://${name}:${process.env.PORT || 8080}/health/live`

try {
  const answer = await fetch(url, { signal: AbortSignal.timeout(timeoutMs), redirect: 'error' })
  await answer.body?.cancel()
  process.exitCode = answer.ok ? 0 : 1
} catch {
  process.exitCode = 1
}
