/** Owns what is learnt of how many connections a relay allows, and for how long that counts. */

/** So long a pool does not grow beyond what its relay allowed last: at first, and after the same was seen again and again. */
const leastMs = 2_000
const mostMs = 60_000

/** `onLearnt` is called once, with the number. */
export function connectionLimit(configured: number, onLearnt: (connections: number) => void) {
  const none = { connections: configured, until: -Infinity, ms: leastMs / 2 }
  let limit = none
  let isTold = false

  const counts = () => performance.now() < limit.until

  return {
    most: () => (counts() ? limit.connections : configured),
    /** The relay serves `open` connections and opens no other one: it has no trouble, it allows no more than these. */
    learn(open: number): void {
      const ms = counts() ? limit.ms : Math.min(limit.ms * 2, mostMs)
      limit = { connections: Math.max(1, open), until: performance.now() + ms, ms }
    },
    /** The relay has opened one more. */
    noteOpened(open: number): void {
      if (open === 1 || open > limit.connections) limit = none
    },
    /** To be called when it is known of every connection whether the relay takes it. */
    tell(): void {
      if (isTold || !counts()) return
      isTold = true
      onLearnt(limit.connections)
    },
  }
}
