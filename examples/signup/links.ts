/** Owns what a person sees who opens a link of ours: a button when it is good, else what is wrong and what to do. */
import type { FastifyInstance, FastifyReply } from 'fastify'
import { confirmationPage } from 'jwt-mailer/client'
import type { Site } from './request.ts'
import type { User } from './accounts.ts'
import type { Purpose } from './mails.ts'
import { page } from './pages.ts'

export interface LinkTexts {
  readonly title: string
  readonly text: string
  readonly button: string
  /** Where to get a new one: text and address. */
  readonly again: readonly [string, string]
}

type Bad = 'malformed' | 'forged' | 'wrong_purpose' | 'expired' | 'used'

const explanations: Readonly<Record<Bad, readonly [title: string, told: string]>> = {
  malformed: [
    'This link is not whole',
    'Perhaps your mail program broke it in two: copy all of it from the mail.',
  ],
  forged: [
    'This link is not whole',
    'Perhaps your mail program broke it in two: copy all of it from the mail.',
  ],
  wrong_purpose: ['This link is for something else', 'Open the one from the mail that you mean.'],
  expired: ['This link is over', 'Ask for a new one; it takes a moment.'],
  used: ['This link has done its work', 'It works once, and a newer mail ends it.'],
}

export function explain(reply: FastifyReply, reason: Bad, again: LinkTexts['again']): FastifyReply {
  const [title, told] = explanations[reason]
  return reply.code(410).send(page({ title, told, links: [again, ['Sign in', '/login']] }))
}

/** What the link was made for, as long as it still is. */
export async function targetOf(
  { accounts, mails }: Site,
  purpose: Purpose,
  token: string,
  way: 'look' | 'take',
): Promise<Bad | { user: User; version: number; address: string }> {
  const link = await mails[way](purpose, token)
  if (!link.ok) return link.reason
  const user = accounts.userBy(Number(link.subject))
  const { version, address } = link.data
  if (!user || user.version !== version || typeof address !== 'string') return 'used'
  return { user, version, address }
}

/** The GET (and HEAD) of a link: mail scanners open every link, so it shows a button and does nothing. */
export function showButton(app: FastifyInstance, site: Site, purpose: Purpose, texts: LinkTexts): void {
  app.get<{ Params: { token: string } }>(`/${purpose}/:token`, async (request, reply) => {
    const target = await targetOf(site, purpose, request.params.token, 'look')
    if (typeof target === 'string') return explain(reply, target, texts.again)
    const { status, headers, body } = confirmationPage({
      ...texts,
      text: texts.text.replace('ADDRESS', () => target.address),
      fields: { _csrf: reply.generateCsrf() },
    })
    return reply.code(status).headers(headers).send(body)
  })
}
