import type { CreateVm } from '@cryptvisor/control-plane-api'
import { wholeNumber } from './arguments.ts'
import type { CliCommand } from './command.ts'

/** Where a new VM goes and how it is equipped; what is left out the control plane chooses. */
export interface PlacementOptions {
  readonly folder?: string
  readonly cluster?: string
  readonly host?: string
  readonly datastore?: string
  readonly memory?: number
  readonly cpus?: number
  readonly notes?: string
}

/** Adds the options that `vm create` and `vm import` share. */
export function addPlacementOptions(command: CliCommand): CliCommand {
  return command
    .option('--folder <path>', 'the folder of the inventory, such as /Sales (default: the root)')
    .option('--cluster <name>', 'the cluster')
    .option('--host <name>', 'the host')
    .option('--datastore <name>', 'the datastore')
    .option('--memory <mib>', 'memory in MiB', wholeNumber(16, 16_777_216))
    .option('--cpus <n>', 'number of CPUs', wholeNumber(1, 1024))
    .option('--notes <text>', 'a note')
}

/** The same as fields of the request. */
export function placementOf(
  options: PlacementOptions,
): Pick<CreateVm, 'folder' | 'cluster' | 'host' | 'datastore' | 'memoryMib' | 'cpuCount' | 'notes'> {
  const { folder, cluster, host, datastore, memory, cpus, notes } = options
  return {
    ...(folder === undefined ? {} : { folder }),
    ...(cluster === undefined ? {} : { cluster }),
    ...(host === undefined ? {} : { host }),
    ...(datastore === undefined ? {} : { datastore }),
    ...(memory === undefined ? {} : { memoryMib: memory }),
    ...(cpus === undefined ? {} : { cpuCount: cpus }),
    ...(notes === undefined ? {} : { notes }),
  }
}
