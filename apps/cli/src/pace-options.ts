import { rate } from './arguments.ts'
import type { CliCommand } from './command.ts'

/** How data is moved. */
export interface PaceOptions {
  /** `false` with `--no-verify`. */
  readonly verify: boolean
  readonly limit?: number
}

/** Adds the options that every command has which moves much data. */
export function addPaceOptions(command: CliCommand): CliCommand {
  return command
    .option('--no-verify', 'do not read back and compare all that was written before it counts')
    .option('--limit <rate>', 'move no more than this a second, such as 200MiB/s', rate)
}

/** The same as fields of the request. */
export function paceOf({ verify, limit }: PaceOptions): { verify?: boolean; bytesPerSecondMax?: number } {
  return {
    ...(verify ? {} : { verify }),
    ...(limit === undefined ? {} : { bytesPerSecondMax: limit }),
  }
}
