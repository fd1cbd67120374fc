/** A token endpoint that gives `token-1`, `token-2`, … and misbehaves where a script tells it to. */
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { portOf } from './port.ts'

export type TokenAct = ((response: ServerResponse) => void) | undefined

export interface TokenEndpoint {
  readonly url: string
  /** What was asked, one after the other. */
  readonly forms: URLSearchParams[]
  close(): Promise<void>
}

/** `act` is called with the count of requests, from 1; without an act a token is given that lives `lifeSeconds`. */
export async function tokenEndpoint(
  act: (count: number) => TokenAct = () => undefined,
  lifeSeconds = 3600,
): Promise<TokenEndpoint> {
  const forms: URLSearchParams[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      forms.push(new URLSearchParams(body))
      const scripted = act(forms.length)
      if (scripted) return scripted(response)
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ access_token: `token-${forms.length}`, expires_in: lifeSeconds }))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${portOf(server)}/token`,
    forms,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}
