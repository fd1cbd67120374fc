import { rmSync } from 'node:fs'
import { expect, test } from 'vitest'
import { liveCatalogue } from '../../src/mails/live.ts'
import { mailSource, render, sender, writeFile, writeFolder } from './catalogues.ts'

function openLive() {
  const dir = writeFolder({ 'default/confirmation.en.md': mailSource('First.') })
  let time = 0
  const catalogue = liveCatalogue({ dir, ...sender }, () => time)
  const later = () => void (time += 1000)
  const text = () => render(catalogue.find('default', undefined, undefined)).text
  return { dir, catalogue, later, text }
}

test('an edited mail is the next one that is sent', () => {
  const { dir, later, text, catalogue } = openLive()
  expect(text()).toContain('First.')
  writeFile(dir, 'default/confirmation.en.md', mailSource('Second, longer.'))
  later()
  expect(text()).toContain('Second, longer.')
  expect(catalogue.problems).toEqual([])
})

test('a new mail and a new app appear', () => {
  const { dir, later, catalogue } = openLive()
  writeFile(dir, 'cat/app.json', '{ "default_kind": "reset" }')
  writeFile(dir, 'cat/reset.en.md', mailSource('Reset.'))
  later()
  expect(catalogue.mails.map(({ app, kind }) => `${app}/${kind}`)).toEqual([
    'cat/reset',
    'default/confirmation',
  ])
})

test('a broken edit says what is wrong and leaves the last good mail, until it is mended', () => {
  const { dir, later, text, catalogue } = openLive()
  writeFile(dir, 'default/confirmation.en.md', mailSource('Broken {{ nmae }}.'))
  later()
  expect(text()).toContain('First.')
  expect(catalogue.problems).toEqual([
    {
      file: 'default/confirmation.en.md',
      line: 7,
      message: expect.stringMatching(/^`nmae` is not declared/),
    },
  ])
  writeFile(dir, 'default/confirmation.en.md', mailSource('Mended.'))
  later()
  expect(text()).toContain('Mended.')
  expect(catalogue.problems).toEqual([])
})

test('a folder that goes away leaves the last good mails', () => {
  const { dir, later, text, catalogue } = openLive()
  rmSync(dir, { recursive: true })
  later()
  expect(text()).toContain('First.')
  expect(catalogue.problems).toHaveLength(1)
})
