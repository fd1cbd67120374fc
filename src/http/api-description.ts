/** Owns the description of the API for programs: OpenAPI 3.1, made from the schemas and the table that also decide. */
import { z } from 'zod'
import type { AdapterSettings } from '../adapter.ts'
import {
  answerSchema,
  claimsSchema,
  deliverySchema,
  failureCodes,
  failures,
  postSchema,
} from '../contract.ts'
import type { FailureCode } from '../errors.ts'
import type { ReportingRelay } from '../feedback-source.ts'

type Json = Record<string, unknown>

const schemaOf = (schema: z.ZodType): Json => {
  const { $schema: _dialect, ...json } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
  return json
}
const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` })
const jsonBody = (schema: Json): Json => ({ 'application/json': { schema } })

/** The failures a request for a mail can end with; the rest belong to paths and methods of their own. */
const mailFailures = failureCodes.filter((code) => code !== 'not_found' && code !== 'read_only')
const statusFailures: FailureCode[] = [
  'token_malformed',
  'token_signature',
  'token_expired',
  'token_not_yet_valid',
  'claims_invalid',
  'not_found',
  'keys_unavailable',
  'store_unavailable',
]

export interface DescribedRoutes {
  readonly adapters?: readonly AdapterSettings[] | undefined
  /** The relays that may report. */
  readonly feedback?: readonly ReportingRelay[] | undefined
}

/** A document of the OpenAPI 3.1 specification, with the routes that are configured. */
export function openApi(version: string, { adapters = [], feedback = [] }: DescribedRoutes = {}): Json {
  return {
    openapi: '3.1.0',
    info: {
      title: 'jwt-mailer',
      version,
      description:
        'A signed token in, a confirmation mail out. Every answer is JSON; callers decide by `error` or `code`, never by `msg`.',
    },
    paths: {
      ...mailPaths(),
      ...deliveryPaths(),
      ...adapterPaths(adapters),
      ...feedbackPaths(feedback),
      ...healthPaths(),
    },
    components: {
      schemas: {
        Answer: schemaOf(answerSchema),
        Claims: schemaOf(claimsSchema),
        Delivery: schemaOf(deliverySchema),
        TokenBody: schemaOf(postSchema),
      },
      securitySchemes: {
        appToken: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: "Any token in its time, signed with the app's secret or its own key.",
        },
      },
    },
  }
}

function mailPaths(): Json {
  const paths: Json = {}
  for (const base of ['/emailservice', '/emailservice-{app}']) {
    for (const kind of ['', '/{kind}']) {
      paths[`${base}${kind}/{token}`] = { get: mailOperation(`${base}${kind}/{token}`) }
      paths[`${base}${kind}`] = {
        post: {
          ...mailOperation(`${base}${kind}`),
          requestBody: { required: true, content: jsonBody(ref('TokenBody')) },
        },
      }
    }
  }
  return paths
}

const parameters: Record<string, Json> = {
  app: { description: 'One of the apps of the catalogue; without it: `default`.' },
  kind: { description: "One of the app's kinds of mail; without it: the app's default kind." },
  token: {
    description:
      "A JWT signed with the app's secret (HS256) or its own key, at most 12 KiB. Its claims: schema `Claims`.",
  },
  id: { description: 'The `id` of the answer.' },
}

function pathParameters(path: string): Json[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
    ...parameters[name],
  }))
}

function mailOperation(path: string): Json {
  return {
    summary: 'Send one mail',
    parameters: pathParameters(path),
    responses: {
      200: { description: '`sent`: the relay has taken the mail.', content: jsonBody(ref('Answer')) },
      202: {
        description: '`queued`: stored, and tried again until it is sent.',
        content: jsonBody(ref('Answer')),
      },
      ...failureResponses(mailFailures),
    },
  }
}

function deliveryPaths(): Json {
  return {
    '/deliveries/{id}': {
      get: {
        summary: 'What became of a mail',
        security: [{ appToken: [] }],
        parameters: pathParameters('/deliveries/{id}'),
        responses: {
          200: { description: 'The state of the mail.', content: jsonBody(ref('Delivery')) },
          ...failureResponses(statusFailures),
        },
      },
    },
  }
}

/** Only what they have in common: each system's own documents say what it sends and which answers it understands. */
function adapterPaths(adapters: readonly AdapterSettings[]): Json {
  const places = adapters.flatMap(({ system, app }) => {
    const withApp = `/adapters/${system}/{app}`
    return app === undefined || app === 'default' ? [`/adapters/${system}`, withApp] : [withApp]
  })
  return Object.fromEntries(places.map((path) => [path, { post: adapterOperation(path) }]))
}

function adapterOperation(path: string): Json {
  const [, , system = ''] = path.split('/')
  return {
    summary: `Mails that ${system} asks for`,
    description: `Called by ${system} itself, which signs the request or shows its secret. It is answered as ${system} understands, as soon as the mails are stored.`,
    parameters: pathParameters(path),
    requestBody: { required: true, content: jsonBody({ type: 'object' }) },
    responses: {
      '2XX': { description: 'The mails are stored, or can never be sent, where the log says why.' },
      default: { description: 'Wrong secret or signature, or another time may succeed.' },
    },
  }
}

/** Likewise: what a relay sends is in its own documents. */
function feedbackPaths(relays: readonly ReportingRelay[]): Json {
  return Object.fromEntries(relays.map((relay) => [`/feedback/${relay}`, { post: feedbackOperation(relay) }]))
}

function feedbackOperation(relay: ReportingRelay): Json {
  return {
    summary: `Reports of ${relay} on what became of mails`,
    description: `Called by ${relay} itself, which proves who it is. What is of no concern here is answered 200 as well.`,
    parameters: [],
    requestBody: { required: true, content: jsonBody({}) },
    responses: {
      200: { description: '`noted`: what was news is stored.' },
      ...failureResponses(['token_signature', 'too_large', 'relay_unavailable', 'store_unavailable']),
    },
  }
}

function healthPaths(): Json {
  const ok = (description: string): Json => ({ description, content: jsonBody({ type: 'object' }) })
  return {
    '/health/live': { get: { summary: 'Is the process alive?', responses: { 200: ok('It is.') } } },
    '/health/ready': {
      get: {
        summary: 'May mail come in?',
        responses: {
          200: ok('Relay and store are there.'),
          503: ok('One of them is not; the body says which.'),
        },
      },
    },
  }
}

/** One response for each status, with a line for each code that has it. */
function failureResponses(codes: readonly FailureCode[]): Json {
  const statuses = Map.groupBy(codes, (code) => failures[code].status)
  return Object.fromEntries(
    [...statuses].map(([status, same]) => [
      status,
      {
        description: same.map((code) => `\`${code}\`: ${failures[code].meaning}.`).join('\n\n'),
        content: jsonBody(ref('Answer')),
        ...(status === 429 && {
          headers: { 'Retry-After': { description: 'Seconds to wait.', schema: { type: 'integer' } } },
        }),
      },
    ]),
  )
}
