/** Loaded into the service with `--import`: lets the bench ask what the process has used. */
import { answer } from './ipc.ts'

if (process.send) answer()
