import { type Readable, Transform } from 'node:stream'

/**
 * Passes bytes on, and breaks off when none went through for `quietMsMax`: whoever reads holds something up meanwhile.
 * `end` breaks it off, too. `reason` words the error.
 */
export function watchedStream(source: Readable, quietMsMax: number, end: AbortSignal, reason: string): Readable {
  let quiet: NodeJS.Timeout | undefined
  const passing = new Transform({
    transform: (chunk, _encoding, done) => {
      listen()
      done(null, chunk)
    },
  })
  const listen = () => {
    clearTimeout(quiet)
    quiet = setTimeout(() => passing.destroy(new Error(reason)), quietMsMax)
    quiet.unref()
  }
  const stop = () => passing.destroy(new Error('the control plane stops'))
  listen()
  end.addEventListener('abort', stop, { once: true })
  source.on('error', (error) => passing.destroy(error))
  passing.once('close', () => {
    clearTimeout(quiet)
    end.removeEventListener('abort', stop)
    source.destroy()
  })
  return source.pipe(passing)
}
