/** The flags of a mail that every kind in the tests accepts. */
export const mailWords = [
  '--to',
  'ada@example.com',
  '--link-url',
  'https://app.example.com/c/',
  '--link-token',
  'abc',
  '--key',
  '7hK2pQ',
]
