/** Owns a command that runs in the process of its test, which costs a twentieth of a process of its own. */
import { runCommand } from '../../src/cli.ts'

export interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Nothing of the test's own environment reaches it. It stands in the folder of the project, and reads no `.env` there. */
export async function runHere(words: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  let [stdout, stderr] = ['', '']
  const terminal = {
    out: (line: string) => void (stdout += `${line}\n`),
    err: (line: string) => void (stderr += `${line}\n`),
    paint: (_style: string, text: string) => text,
  }
  const status = await runCommand(words, terminal, env)
  return { status, stdout, stderr }
}
