/** Owns the error of a store that cannot be set up. It loads nothing, because the thread of SQLite loads it too. */

/** The cause of a `MailerError` when only the operator can mend it. Its message holds no value of a mail. */
export class SetupError extends Error {
  override readonly name = 'SetupError'
}
