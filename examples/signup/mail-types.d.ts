// Written by "jwt-mailer types": what each mail asks of its caller. Write it anew when a mail changes.
/** A whole URL (claim `email_link`), or its two halves (`email_link_url`, `email_link_token`). */
type Link = string | { readonly url: string; readonly token: string }

export interface Mails {
  default: {
    change: { link: Link; linkExpires?: Date; accessKey?: never; name?: string; locale?: string }
    changed: {
      link?: never
      accessKey?: never
      name?: string
      locale?: string
      data: { new_email: string | number }
    }
    check: { link?: never; accessKey?: never; name?: string; locale?: string }
    confirm: { link: Link; linkExpires?: Date; accessKey?: never; name?: string; locale?: string }
    registered: { link?: never; accessKey?: never; name?: string; locale?: string }
    'reset-code': { link?: never; linkExpires?: Date; accessKey: string; name?: string; locale?: string }
    reset: { link: Link; linkExpires?: Date; accessKey?: never; name?: string; locale?: string }
  }
}
