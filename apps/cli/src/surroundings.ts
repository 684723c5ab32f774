import type { Readable, Writable } from 'node:stream'
import type { Interrupt } from './interrupt.ts'
import type { PollPace } from './task-wait.ts'

/** Standard input as we read it; `isTTY` is true on a terminal only. */
export type Input = Readable & { readonly isTTY?: boolean }

/** Standard output or error; `columns` is known on a terminal only. */
export type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number }

/** All of the world that the command touches besides files and the network, so that a test can stand in for it. */
export interface Surroundings {
  readonly stdin: Input
  readonly stdout: Output
  readonly stderr: Output
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly homeFolder: string
  readonly interrupt: Interrupt
  /** Milliseconds since any fixed moment. */
  readonly now: () => number
  readonly pollPace: PollPace
}
