/** Owns the window of a limit that does not end while a test runs: that of an hour ends at each full hour, this one in 2070. */
export const centuryMs = 100 * 365.25 * 86_400_000
