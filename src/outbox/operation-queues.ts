/** Owns the queues in which operations wait for their transaction, and which of them may share one. */
import { batcher } from './group-commit.ts'
import type { ReconnectingStore } from './reconnect.ts'
import { type Operation, type OperationResult, readsOnly } from './store/operation.ts'
import type { SqlRow } from './store/statement.ts'

const minBytes = 500
const sentWaitMs = 5
const reportWaitMs = 20

export interface OperationQueues {
  /** Resolves when the transaction with this operation has committed. */
  readonly run: (operation: Operation) => Promise<OperationResult>
  readonly rowsOf: (operation: Operation) => Promise<readonly SqlRow[]>
  /** Resolves when no operation waits or runs any more. */
  readonly idle: () => Promise<void>
}

/** `parallel`: can several transactions write side by side? */
export function operationQueues(store: Pick<ReconnectingStore, 'run'>, parallel: boolean): OperationQueues {
  const queue = () =>
    batcher<Operation, OperationResult>({ run: (operations) => store.run(operations), weigh })
  // An operator's slow query must not delay mails.
  const reads = queue()
  const accepts = queue()
  // Beside other writers, a transaction that accepts and settles can deadlock: it holds the row of a mail it settled and
  // waits to insert another, whose row a second transaction settled before it waits for the first.
  const changes = parallel ? queue() : accepts
  // For the same reason apart from what settles: a report can come while another replica settles its mail.
  const reports = parallel ? queue() : accepts

  function queueOf(operation: Operation) {
    if (readsOnly(operation)) return reads
    if (operation.op === 'feedback') return reports
    return operation.op === 'accept' ? accepts : changes
  }

  const run = (operation: Operation) => queueOf(operation).submit(operation, waitMsOf(operation))

  return {
    run,
    rowsOf: async (operation) => (await run(operation)).rows,
    async idle() {
      await Promise.all([reads.idle(), accepts.idle(), changes.idle(), reports.idle()])
    },
  }
}

const weigh = (operation: Operation) => (operation.op === 'accept' ? operation.body.length : 0) + minBytes

function waitMsOf(operation: Operation): number {
  // A relay that reports has time, and each transaction of its own is one that mails wait behind.
  if (operation.op === 'feedback') return reportWaitMs
  // No request waits until it is stored that its mail was sent.
  return operation.op === 'settle' && operation.state === 'sent' ? sentWaitMs : 0
}
