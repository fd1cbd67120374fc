/**
 * Owns the rule of imports: which folder of src may import which, and the sentence that a wrong import gets.
 * oxlint reads it (`npm run lint`); docs/architecture.md describes the folders.
 */
import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path/posix'

/** At the root of src, an entry may import everything. Every other file there is a leaf, and imports only leaves. */
const entries = [
  'server.ts',
  'compose.ts',
  'cli.ts',
  'shutdown.ts',
  'start.js',
  'jwt-mailer.js',
  'healthcheck.ts',
]

/** What the files of a folder may import besides their own folder and the leaves. */
export const mayImport: Record<string, readonly string[]> = {
  config: [],
  mime: [],
  mails: ['mails/compile', 'mime'],
  'mails/compile': ['mails'],
  transport: ['mime'],
  'outbox/store': [],
  outbox: ['outbox/store'],
  adapters: [],
  feedback: [],
  callbacks: ['outbox'],
  delivery: ['mails', 'outbox'],
  dev: [],
  http: ['http/routes', 'adapters', 'feedback', 'delivery', 'outbox'],
  'http/routes': ['http', 'adapters', 'feedback', 'delivery', 'dev', 'mails', 'mime', 'outbox'],
  doctor: ['doctor/dns', 'doctor/relay', 'config', 'mails', 'mime', 'outbox', 'outbox/store', 'transport'],
  'doctor/dns': ['doctor'],
  'doctor/relay': ['doctor'],
  commands: ['callbacks', 'config', 'doctor', 'mails', 'mime', 'outbox', 'outbox/store'],
}

const parts = ['mails', 'mails/compile', 'transport', 'outbox', 'outbox/store', 'mime', 'config']
const leaf = 'src'

/** Where the line belongs instead. The first row that fits an import gives the sentence; no list fits everything. */
const sentences: { from?: readonly string[]; to?: readonly string[]; says: string }[] = [
  {
    to: [leaf],
    says: 'An entry (server.ts, compose.ts, cli.ts, shutdown.ts) composes the program and is imported by no folder. The line belongs into a leaf at the root of src, or into the part that does the work.',
  },
  {
    from: [leaf],
    says: 'A leaf at the root of src imports only leaves. The line belongs into the folder that it wants to import, or the type that it needs becomes a leaf.',
  },
  {
    from: ['adapters', 'feedback'],
    to: ['adapters', 'feedback'],
    says: 'Each file of adapters/ and feedback/ stands alone. What two of them need belongs into a leaf at the root of src.',
  },
  {
    from: ['mails', 'mails/compile', 'transport'],
    to: ['mails', 'mails/compile', 'transport'],
    says: 'mails/ and transport/ meet only in mime/ and message.ts. The bytes of a mail belong into mime/, a type that both need belongs into message.ts.',
  },
  {
    from: ['config'],
    to: parts,
    says: 'config/ imports no part. A type that both need belongs into a leaf at the root of src; server.ts hands the values to the part.',
  },
  {
    to: ['config'],
    says: 'Only the entries, doctor/ and commands/ read the configuration. A part takes the values that it needs as parameters; server.ts passes them.',
  },
  {
    from: ['mime'],
    says: 'mime/ turns a message into bytes and knows nothing above it. The line belongs into mails/ or transport/, which both import mime/.',
  },
  {
    from: ['outbox/store'],
    to: ['outbox'],
    says: 'outbox/store/ is the database below the outbox. A promise to the caller belongs into outbox/, a type that both need belongs into a file of outbox/store/.',
  },
  {
    from: ['mails', 'mails/compile', 'transport', 'outbox', 'outbox/store'],
    to: parts,
    says: 'Parts do not import each other. A call from one to the other belongs into delivery/, a type that both need belongs into message.ts.',
  },
  {
    to: ['outbox/store'],
    says: 'Only outbox/ uses the database. The line belongs into outbox/, behind a verb of outbox/api.ts.',
  },
  {
    from: ['doctor/dns', 'doctor/relay'],
    to: ['doctor/dns', 'doctor/relay'],
    says: 'doctor/dns/ and doctor/relay/ do not import each other. What both need belongs into a file of doctor/, what joins them belongs into doctor/deployment.ts.',
  },
  {
    to: ['dev'],
    says: 'dev/ runs only on a machine of one’s own. Only server.ts starts it, and only http/routes/ shows it.',
  },
  {
    to: ['commands'],
    says: 'Only cli.ts imports commands. What others need too belongs into the part that does the work.',
  },
  {
    to: ['doctor', 'doctor/dns', 'doctor/relay'],
    says: 'The service does not need its doctor: only commands/ imports it. What the service needs too belongs into the part that does the work.',
  },
  {
    from: ['doctor', 'doctor/dns', 'doctor/relay'],
    says: 'The doctor examines parts and configuration, never the running service. What it needs as well belongs into the part that does the work, or into doctor/deployment.ts.',
  },
  {
    to: ['http', 'http/routes', 'delivery'],
    says: 'Imports point down: http/ imports delivery/, delivery/ imports the parts. What a part needs from above is handed to it as a parameter; a type that both need belongs into a leaf at the root of src.',
  },
  {
    from: ['adapters', 'feedback'],
    says: 'adapters/ and feedback/ import leaves only. Who calls them, http/routes/ or server.ts, hands over what they need.',
  },
  {
    says: 'This folder does not import that one. docs/architecture.md says what each folder owns and may import; imports.config.ts is the rule.',
  },
]

function sentenceFor(from: string, to: string): string {
  const fits = (list: readonly string[] | undefined, folder: string) => list?.includes(folder) ?? true
  const row = sentences.find((one) => fits(one.from, from) && fits(one.to, to))
  return row?.says ?? ''
}

const listed = readdirSync(join(import.meta.dirname, 'src'), { recursive: true, withFileTypes: true })
for (const file of listed.filter((one) => one.isDirectory())) {
  const folder = relative(join(import.meta.dirname, 'src'), join(file.parentPath, file.name))
  if (mayImport[folder] === undefined)
    throw new Error(
      `src/${folder}/ has no row in imports.config.ts: say there what it may import, and describe it in docs/architecture.md`,
    )
}

const escaped = (text: string) => text.replaceAll('.', '\\.')
/** As an import in a file of `from` begins: `../mails/`, `./store/`, `../../`. */
function wayTo(from: string, to: string): string {
  const way = relative(join('/', from), join('/', to)) || '.'
  return way.startsWith('.') ? `${way}/` : `./${way}/`
}

function deny(from: string, to: string, files = '[^/]+') {
  return { regex: `^${escaped(wayTo(from, to))}${files}$`, message: sentenceFor(from || leaf, to || leaf) }
}

const filePattern = (names: readonly string[]) => `(${names.map(escaped).join('|')})`
const folders = Object.keys(mayImport)
/** Any other spelling of the same path would pass the patterns. */
const detour = {
  regex: '[^./]/\\.\\.?/|^(\\.\\./)+src/|^\\./\\.\\./|^/',
  message: 'Write the shortest relative path, so that the rule of imports can read it.',
}

const callsTheService = {
  regex: '^(\\.\\./)+client/src/',
  message:
    'Only commands/ calls a service through the client. What the service shares with it belongs into contract.ts.',
}
/** The client is a package of its own: nothing above its folder is there when an application installs it. */
const leavesThePackage = {
  regex: '^\\.\\./',
  message:
    'client/ is what other programs install: it imports nothing of the service. What both need is written in both, and a test holds them together.',
}

const folderRules = folders.map((from) => {
  const allowed = new Set([from, ...(mayImport[from] ?? [])])
  return {
    files: [`src/${from}/*`],
    rules: restrict([
      ...(from === 'commands' ? [] : [callsTheService]),
      deny(from, '', filePattern(entries)),
      ...folders.filter((to) => !allowed.has(to)).map((to) => deny(from, to)),
      ...(from === 'adapters' || from === 'feedback' ? [deny(from, from)] : []),
    ]),
  }
})

function restrict(patterns: { regex: string; message: string }[]) {
  return { 'no-restricted-imports': ['error', { patterns: [detour, ...patterns] }] }
}

export default {
  plugins: ['import', 'typescript'],
  categories: { correctness: 'off' },
  rules: {
    // a circle of types is a circle too
    'import/no-cycle': ['error', { ignoreTypes: false }],
    // import('…').Name in a type would pass the patterns
    'typescript/consistent-type-imports': ['error', { disallowTypeAnnotations: true }],
  },
  ignorePatterns: ['dist', 'coverage', 'node_modules', 'artifacts'],
  overrides: [
    {
      files: ['src/*'],
      excludeFiles: entries.map((name) => `src/${name}`),
      rules: restrict([
        callsTheService,
        deny('', '', filePattern(entries)),
        ...folders.map((to) => deny('', to)),
      ]),
    },
    ...folderRules,
    { files: ['client/src/*'], rules: restrict([leavesThePackage]) },
  ],
}
