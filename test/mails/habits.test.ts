/** One fault is told once, and what other tools leave or write is named with its place. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { loadCatalogue } from '../../src/mails/catalogue.ts'
import { mailSource, problemsOf, sender, writeFolder } from './catalogues.ts'

const claims =
  'claims:\n  name: { sample: "Ada" }\n  lines: { type: list, fields: { cents: { type: cents } } }\n'
const rows = '{% for line in lines %}\n\n{{ line.cents | money: "EUR" }}\n\n{% endfor %}'
const good = mailSource(`Hi {{ name }}.\n\n{% if name == "Ada" %}x{% endif %}\n\n${rows}`, claims)

test.each<[string, string, string, string]>([
  ['a quote', '"Ada" }\n', '"Ada }\n', '5: a quote " on this line has no counterpart'],
  ['a bracket', 'sample: "Ada" }', 'sample: "Ada"', '5: a bracket on this line has no counterpart'],
  ['a tab', '  name: {', '\tname: {', '5: a tab cannot indent a setting'],
  ['a quote in a condition', '== "Ada"', '== "Ada', '{% if name == "Ada %}: a quote " has no counterpart'],
  ['a quote around an argument', '"EUR" }}', '"EUR }}', 'a quote " has no counterpart'],
  ['an end of a condition', '{% endif %}', '', 'an {% if %} must end where it began'],
  ['an end of a loop', '{% endfor %}', '', 'a {% for %} must end where it began'],
  ['a beginning of a loop', '{% for line in lines %}', '', 'there is no {% for %} open here'],
  ['a claim', '  name: {', '  nam: {', '`name` is not declared under `claims`'],
  ['a field', 'fields: { cents', 'fields: { price', '`line.cents` is not in this list'],
  ['a second fence', '---\n#', '#', 'the second one is missing'],
])('%s that is missing is one problem', (_, from, to, problem) => {
  expect(good).toContain(from)
  const problems = problemsOf({ 'default/confirmation.en.md': good.replace(from, to) })
  expect(problems).toHaveLength(1)
  expect(problems[0]).toContain(problem)
})

test('a name that is not declared is told once, with its other lines', () => {
  const body = Array.from({ length: 20 }, () => 'Hi {{ nobody_knows }}.').join('\n\n')
  const problems = problemsOf({ 'default/confirmation.en.md': mailSource(body) })
  expect(problems).toHaveLength(1)
  expect(problems[0]).toMatch(
    /`nobody_knows` is not declared .* \(again on line \d+, \d+, \d+ and 16 more\)$/,
  )
})

test.each<readonly [string, string]>([
  ['{{#if name}}', 'this is Handlebars; here it is {% if name %}'],
  ['{{#each lines}}', 'this is Handlebars; here it is {% for item in list %}'],
  ['{{> bye}}', 'this is Handlebars; here it is {% render "name" %}'],
  ['{{{ name }}}', 'two braces are enough'],
  ['{{ .ConfirmationURL }}', 'this is another template language'],
  ['{{ if .Name }}', 'this is another template language'],
  ['{{ userName }}', 'names are written in small letters, digits and underscores: {{ user_name }}'],
  ['{{ user.name }}', 'did you mean `user_name`?'],
  ...[
    '<%= name %>',
    '{# note #}',
    '${name}',
    '#{name}',
    '*|FNAME|*',
    '%recipient.name%',
    '%(name)s',
    '[[name]]',
  ].map((text) => [text, `\`${text}\` is a placeholder of another mailer`] as const),
  ['<<<<<<< HEAD', 'a merge conflict is left here'],
])('%s, which another mailer would read, is named and not mailed', (text, problem) => {
  const source = mailSource(`Hi {{ user_name }}.\n\n${text}`, 'claims:\n  user_name: {}\n')
  expect(problemsOf({ 'default/confirmation.en.md': source }).join('\n')).toContain(problem)
})

test.each([
  ['+++\nsubject = "x"\n+++\n# Hi', 'here it is TOML'],
  ['{ "subject": "x" }\n\n# Hi', 'here it is JSON'],
  ['<mjml><mj-body></mj-body></mjml>', 'this is MJML'],
  ['<!doctype html>\n<p>Hi</p>', 'this is HTML'],
])('%j instead of front matter is named', (source, problem) => {
  expect(problemsOf({ 'default/confirmation.en.md': source }).join('\n')).toContain(problem)
})

test('a file that is not UTF-8 is refused with its line', () => {
  const dir = writeFolder({ 'default/confirmation.en.md': good })
  const bytes = Buffer.concat([Buffer.from('---\nsubject: '), Buffer.from('später', 'latin1')])
  writeFileSync(join(dir, 'default/reset.en.md'), bytes)
  expect(() => loadCatalogue({ dir, ...sender })).toThrow(
    expect.objectContaining({
      problems: [{ file: 'default/reset.en.md', line: 2, message: 'is not UTF-8: save it as UTF-8' }],
    }),
  )
})

test('what editors, archives and other machines leave stops nothing, and is named', () => {
  const traces = ['order.en.md~', '#order.en.md#', '.#order.en.md', '.order.en.md.swp', 'order.en.md.orig']
  const machines = ['.DS_Store', '._order.en.md', 'Thumbs.db', 'order.en (1).md', 'order.en copy.md']
  const meant = [
    'Order.en.md',
    'order.EN.md',
    'order.en_US.md',
    'order_en.md',
    'bestätigung.de.md'.normalize('NFD'),
  ]
  const others = ['order.en.mjml', 'order.hbs', 'order.en.md.erb']
  const dir = writeFolder({ 'default/confirmation.en.md': good })
  const write = (name: string) => {
    mkdirSync(dirname(join(dir, name)), { recursive: true })
    writeFileSync(join(dir, name), '\u0000')
  }
  for (const name of [...traces, ...machines, ...meant, ...others, '.gitkeep', 'README.md', 'logo.png'])
    write(`default/${name}`)
  for (const name of ['.git/config', '__MACOSX/default/x', 'node_modules/a', 'images/a.png', '.DS_Store'])
    write(name)
  const { strays, mails } = loadCatalogue({ dir, ...sender })
  expect(mails.filter(({ file }) => !file.startsWith('/')).map(({ file }) => file)).toEqual([
    'default/confirmation.en.md',
  ])
  const named = (isMeant: boolean) =>
    strays
      .filter((stray) => stray.isMeant === isMeant)
      .map(({ file }) => file.replace('default/', ''))
      .toSorted()
  expect(named(true)).toEqual([...meant, ...others].toSorted())
  expect(named(false)).toEqual(
    [...traces, ...machines, '.DS_Store', '__MACOSX', 'images', 'node_modules'].toSorted(),
  )
  expect(strays.find(({ file }) => file === 'default/Order.en.md')?.message).toContain(
    'did you mean order.en.md?',
  )
})
