import { homedir } from 'node:os'
import process from 'node:process'
import { exitCodes } from './exit-codes.ts'
import { Interrupt } from './interrupt.ts'
import type { Surroundings } from './surroundings.ts'

/** The process as it is: its streams, its environment, Ctrl-C. To be called once. */
export function processSurroundings(): Surroundings {
  const { stdin, stdout, stderr, env } = process
  const interrupt = new Interrupt(() => process.exit(exitCodes.interrupted))
  process.on('SIGINT', () => interrupt.fire())
  for (const stream of [stdout, stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      // Whoever read us has seen enough (`cryptvisor event list | head`).
      if (error.code === 'EPIPE') process.exit(exitCodes.ok)
      throw error
    })
  }
  return {
    stdin,
    stdout,
    stderr,
    environment: env,
    homeFolder: homedir(),
    interrupt,
    now: () => performance.now(),
    pollPace: { firstMs: 100, lastMs: 1000 },
  }
}
