/** Owns how findings look to a person: a line each, what to do beneath it, a summary at the end. */
import type { Finding, Level } from './finding.ts'

export const marks = { ok: '✓', warn: '!', bad: '✗' } as const satisfies Record<Level, string>
const colours = { ok: 'green', warn: 'bold', bad: 'red' } as const satisfies Record<Level, string>

export type Paint = (style: 'red' | 'green' | 'bold', text: string) => string

/** `width` in columns; nothing is wrapped narrower than 40. */
export function tableOf(findings: readonly Finding[], width: number, paint: Paint): string[] {
  const areaWidth = Math.max(0, ...findings.map(({ area }) => area.length))
  const indent = areaWidth + 5
  const textWidth = Math.max(40, width - indent)
  const lines = findings.flatMap(({ area, level, says, todo }, index) => {
    const areaOnce = findings[index - 1]?.area === area ? '' : area
    const head = `${paint(colours[level], marks[level])}  ${areaOnce.padEnd(areaWidth)}  `
    const [firstLine = '', ...more] = wrapText(says, textWidth)
    const advice = todo === undefined ? [] : wrapText(`→ ${todo}`, textWidth)
    return [head + firstLine, ...[...more, ...advice].map((line) => ' '.repeat(indent) + line)]
  })
  return [...lines, '', summaryOf(findings, paint)]
}

function summaryOf(findings: readonly Finding[], paint: Paint): string {
  const count = (level: Level) => findings.filter((finding) => finding.level === level).length
  const [bad, warn] = [count('bad'), count('warn')]
  if (bad > 0) return paint('red', `${bad} ✗ to mend${warn > 0 ? `, ${warn} ! to look at` : ''}`)
  if (warn > 0) return paint('bold', `It works; ${warn} ! to look at`)
  return paint('green', 'All is well')
}

function wrapText(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = text.startsWith('→') ? `  ${word}` : word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}
