import { expect, test } from 'vitest'
import { contrast, dark, light, paletteOf } from '../../../src/mails/compile/palette.ts'

test('contrast is what WCAG says it is', () => {
  expect(contrast('#000000', '#ffffff')).toBeCloseTo(21, 5)
  expect(contrast('#777777', '#ffffff')).toBeCloseTo(4.48, 2)
  expect(contrast('#123456', '#123456')).toBe(1)
})

test('all text of the frame can be read in both designs', () => {
  for (const design of [light, dark]) {
    for (const ground of [design.ground, design.card, design.box]) {
      expect(contrast(design.text, ground)).toBeGreaterThanOrEqual(7)
      expect(contrast(design.soft, ground)).toBeGreaterThanOrEqual(6)
    }
  }
})

test.each([
  '#1f5fd0',
  '#b4460b',
  '#0f766e',
  '#7c3aed',
  '#000000',
  '#000080',
  '#c00000',
  '#0a8f3c',
  '#808080',
  '#e0218a',
])('with %s the button can be seen and its label read, light and dark', (accent) => {
  const palette = paletteOf(accent)
  if (typeof palette === 'string') throw new Error(palette)
  expect(contrast(palette.label, palette.accent)).toBeGreaterThanOrEqual(4.5)
  expect(contrast(palette.accent, light.card)).toBeGreaterThanOrEqual(3)
  expect(contrast(palette.darkLabel, palette.darkAccent)).toBeGreaterThanOrEqual(4.5)
  expect(contrast(palette.darkAccent, dark.card)).toBeGreaterThanOrEqual(3)
})

test.each(['#ffe066', '#ffffff', '#7fffd4'])('%s is refused with a colour that would do', (accent) => {
  const sentence = paletteOf(accent)
  expect(sentence).toMatch(/too pale for a button on a white card/)
  const better = /(#[0-9a-f]{6}) would do/.exec(String(sentence))![1]!
  expect(paletteOf(better)).toBeTypeOf('object')
})
