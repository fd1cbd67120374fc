/** Owns waiting: for some time, and for a promise no longer than some time. */

/** Waits without keeping the process alive; an abort ends the wait. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve()
    const end = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms).unref()
    signal?.addEventListener('abort', end)
  })
}

/** What `promise` resolves to, or `undefined` after `ms`: then its result, and its failure, are ignored. */
export function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(undefined), ms)
    promise.finally(() => clearTimeout(timer)).then(resolve, reject)
  })
}
