import type { Message } from '../../src/message.ts'

let count = 0

/** A harmless rendered mail with an id of its own. */
export function sampleMessage(changes: Partial<Message> = {}): Message {
  return {
    id: `mail-${++count}`,
    app: 'default',
    kind: 'confirmation',
    locale: 'en',
    from: { name: 'Example', address: 'noreply@mail.example.com' },
    to: { name: 'Ada', address: 'ada@example.com' },
    subject: 'Confirm your address',
    text: 'Hello Ada,\n\n.dots stay\n',
    html: ['<p>Hello Ada</p>\n'],
    date: new Date('2026-01-02T03:04:05Z'),
    ...changes,
  }
}
