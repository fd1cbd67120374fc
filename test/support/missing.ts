/** Owns the names of tests that are skipped for want of something: each says what it wants, and the end of a run repeats it. */

/** `missing` is why the test cannot run here, if it cannot. */
export function titled(title: string, missing: string | undefined): string {
  return missing === undefined ? title : `${title} (skipped: ${missing})`
}

/** For what CI must have: there it is a failure, not a skip. */
export function required(variable: `REQUIRE_${string}`, missing: string | undefined): string | undefined {
  if (missing !== undefined && process.env[variable] === '1') throw new Error(`${missing}, and ${variable}=1`)
  return missing
}
