/** Owns which blocks a mail may hold, how many of each, and where. */
import type { Block, ListItem } from './blocks.ts'

export function checkBlocks(blocks: readonly Block[], report: (message: string) => void): void {
  const all = flatten(blocks)
  const count = (wanted: (block: Block) => boolean) => all.filter(wanted).length
  if (count((block) => block.kind === 'heading' && block.level === 1) !== 1)
    report('a mail has exactly one heading `# …`, which says what it is about')
  if (mostButtons(blocks) > 2) report('a mail has at most two buttons (paragraphs that are only a link)')
  if (all.some((block) => block.kind === 'loop' && flatten(block.body).some(isSingle)))
    report('a heading `# …`, a button and a line `---` cannot stand in a {% for %}')
  if (all.some((block) => block.kind === 'loop' && isNumbered(block.body)))
    report(
      'the numbers of a list begin anew in each round of a {% for %}: write items with `- `, or paragraphs that begin with {{ forloop.index }}',
    )
  if (
    count((block) => block.kind === 'rule') > 1 ||
    all.some((block) => block.kind === 'rule' && !blocks.includes(block))
  )
    report('a mail has at most one line `---`, outside of everything: it parts the card from the small print')
}

/** One numbered item a round, which an author takes for one list. */
const isNumbered = ([list, ...more]: readonly Block[]) =>
  more.length === 0 && list?.kind === 'list' && list.ordered && list.items.length === 1

const isSingle = ({ kind }: Block) => kind === 'button' || kind === 'rule'

/** The most that one reader can see. */
function mostButtons(blocks: readonly Block[]): number {
  return blocks.reduce((sum, block) => {
    if (block.kind === 'choice') return sum + Math.max(mostButtons(block.yes), mostButtons(block.no))
    return sum + (block.kind === 'button' ? 1 : 0)
  }, 0)
}

function flatten(blocks: readonly Block[]): Block[] {
  return blocks.flatMap((block) => {
    if (block.kind === 'choice') return [block, ...flatten(block.yes), ...flatten(block.no)]
    if (block.kind === 'loop') return [block, ...flatten(block.body)]
    if (block.kind === 'quote') return [block, ...flatten(block.blocks)]
    return block.kind === 'list' ? [block, ...flatten(block.items.flatMap(itemBlocks))] : [block]
  })
}

function itemBlocks(item: ListItem): readonly Block[] {
  if ('loop' in item) return item.body.flatMap(itemBlocks)
  return 'test' in item ? [...item.yes, ...item.no].flatMap(itemBlocks) : item
}
