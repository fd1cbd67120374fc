/**
 * Owns which build of nodemailer is loaded: the CommonJS one. The other imports `node:http` by name, and for that Node
 * loads the whole of its fetch and WebSocket, which nobody here calls: 14 MB and 40 ms in a process that does nothing else.
 */
import { createRequire } from 'node:module'
import type Composer from 'nodemailer/lib/mail-composer'
import type Connection from 'nodemailer/lib/smtp-connection'

const require = createRequire(import.meta.url)

export const MailComposer: typeof Composer = require('nodemailer/lib/mail-composer')
export const SMTPConnection: typeof Connection = require('nodemailer/lib/smtp-connection')
export type SMTPConnection = Connection
