/**
 * Owns which build of nodemailer is loaded: the CommonJS one. The ES module build imports `node:http` by name, which makes
 * Node load its fetch and WebSocket as well: 14 MB and 40 ms that the service does not need.
 */
import { createRequire } from 'node:module'
import type Composer from 'nodemailer/lib/mail-composer'
import type Connection from 'nodemailer/lib/smtp-connection'

const require = createRequire(import.meta.url)

export const MailComposer: typeof Composer = require('nodemailer/lib/mail-composer')
export const SMTPConnection: typeof Connection = require('nodemailer/lib/smtp-connection')
export type SMTPConnection = Connection
