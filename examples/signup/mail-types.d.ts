// Written by "jwt-mailer types": what each mail asks of its caller. Write it anew when a mail changes.
type Link = string | { readonly url: string; readonly token: string }

export interface Mails {
  default: {
    change: { link: Link; accessKey?: never; name?: string; locale?: string }
    changed: {
      link?: never
      accessKey?: never
      name?: string
      locale?: string
      data: { new_email: string | number }
    }
    confirm: { link: Link; accessKey?: never; name?: string; locale?: string }
    registered: { link?: never; accessKey?: never; name?: string; locale?: string }
    'reset-code': { link?: never; accessKey: string; name?: string; locale?: string }
    reset: { link: Link; accessKey?: never; name?: string; locale?: string }
  }
}
