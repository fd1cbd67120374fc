/** Owns where the built-in mails and their layout lie. */
import { fileURLToPath } from 'node:url'

export const builtInMails = fileURLToPath(new URL('../../mails', import.meta.url))
export const builtInLayout = fileURLToPath(new URL('../../mails/layout.html', import.meta.url))
