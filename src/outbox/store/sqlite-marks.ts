/**
 * Owns the two numbers that SQLite's thread and the main thread share: the last request that was cancelled because it
 * took too long, and the last one that began to commit. Each thread writes its number before it reads the other's, so
 * a request that was cancelled in time is never committed.
 */
export const cancelledAt = 0
export const committingAt = 1
