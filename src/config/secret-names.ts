/** Owns the names of the variables that hold the secrets of tokens. */

/** The name of an app as its variables write it. */
export const appInVariable = (app: string) => app.toUpperCase().replaceAll('-', '_')

/** The variable of the secret that this app may have of its own. */
export const secretOfApp = (app: string) => `JWT_MAILER_SECRET_${appInVariable(app)}`

/** The variable of the public key that this app may have instead. */
export const publicKeyOfApp = (app: string) => `JWT_MAILER_PUBLIC_KEY_${appInVariable(app)}`

/** The variable of the address at which this app publishes its public keys. */
export const jwksOfApp = (app: string) => `JWT_MAILER_JWKS_${appInVariable(app)}`

export const isSecretName = (variable: string) => /^JWT_MAILER_SECRET(?:_[A-Z0-9_]+)?$/.test(variable)
