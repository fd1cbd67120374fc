import { expect, it } from 'vitest'
import { examineAdapters } from '../../src/doctor/adapters.ts'
import { loadCatalogue } from '../support/catalogue.ts'
import { foreignSystems, mailsOfEveryKind } from '../support/foreign.ts'

const catalogue = loadCatalogue({
  dir: mailsOfEveryKind(),
  senderName: 'Example',
  senderAddress: 'noreply@mail.example.com',
  allowHttpLinks: false,
})
const kratos = foreignSystems.find(({ system }) => system === 'kratos')!.settings
const linesOf = (...settings: Parameters<typeof examineAdapters>[0]) =>
  examineAdapters(settings, catalogue).map(({ area, level, says }) => `${level} ${area}: ${says}`)

it('says where each adapter takes calls, where its links lead, and how to try it', () => {
  expect(
    linesOf(kratos, { ...kratos, app: 'shop', urls: ['https://a.example', 'https://b.example'] }),
  ).toEqual([
    'ok adapter kratos: /adapters/kratos takes calls; their links lead to https://auth.example.com; try it with jwt-mailer token --as kratos',
    'ok adapter kratos: /adapters/kratos/shop takes calls; their links lead to https://a.example, https://b.example; try it with jwt-mailer token --as kratos',
  ])
})

it('finds an adapter whose links may lead anywhere, for each app that it serves', () => {
  const open = linesOf({ ...kratos, urls: [] }, { ...kratos, app: 'shop' })
  expect(open.map((line) => line.slice(0, 40))).toEqual([
    'bad adapter kratos: KRATOS_URL: is missi',
    'ok adapter kratos: /adapters/kratos/shop',
  ])
})

it('finds a secret for an app that does not exist', () => {
  expect(linesOf({ ...kratos, app: 'shopp' })).toEqual([
    'bad adapter kratos: KRATOS_HOOK_SECRET_SHOPP: there is no app shopp',
  ])
})
