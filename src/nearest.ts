/** Owns "did you mean": the nearest of some names to one that is not among them. */

const longest = 64

/** `undefined` when none is near enough to be a slip of the fingers or another way of writing the same words. */
export function nearest(name: string, names: readonly string[]): string | undefined {
  const wanted = plain(name)
  const most = Math.min(3, Math.floor(wanted.length / 3))
  let best: string | undefined
  let least = most + 1
  for (const each of names) {
    const distance = distanceOf(wanted, plain(each), least)
    if (distance < least) [best, least] = [each, distance]
  }
  return best
}

/** `inviterName`, `inviter-name` and `inviter_name` are one name. */
function plain(name: string): string {
  return name
    .slice(0, longest)
    .toLowerCase()
    .replace(/[-_.\s]/g, '')
}

/** Insertions, deletions, changes and swaps of neighbours (Damerau); `limit` or more is as good as far. */
function distanceOf(one: string, other: string, limit: number): number {
  if (Math.abs(one.length - other.length) >= limit) return limit
  let before: number[] = []
  let last = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (let row = 1; row <= one.length; row++) {
    const now = [row]
    for (let column = 1; column <= other.length; column++) {
      const same = one[row - 1] === other[column - 1]
      let cost = Math.min(last[column]! + 1, now[column - 1]! + 1, last[column - 1]! + (same ? 0 : 1))
      const swapped =
        row > 1 && column > 1 && one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1]
      if (swapped) cost = Math.min(cost, before[column - 2]! + 1)
      now.push(cost)
    }
    ;[before, last] = [last, now]
  }
  return last[other.length]!
}
