/** Loaded into the service with `--import`: lets the bench ask what the process has used. */
import { isMainThread } from 'node:worker_threads'
import { answer, watchLoop } from './ipc.ts'

if (process.send && isMainThread) {
  answer()
  watchLoop()
}
