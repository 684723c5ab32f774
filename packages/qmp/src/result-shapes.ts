import { allBlockStatistics, blockDevices, blockNodeInfos } from './commands/block.ts'
import { exportInfos } from './commands/export.ts'
import { blockJobs, jobs } from './commands/job.ts'
import { cpuInfos, ioThreads, kvmInfo, machineStatus, memorySize, pciBuses } from './commands/machine.ts'
import { dumpInfo, migrationCapabilities, migrationInfo, migrationParametersInfo } from './commands/migration.ts'
import { commandNames, fdSets, qemuVersion, schemaEntries, yankInstances } from './commands/monitor.ts'
import type { Nothing } from './commands/nothing.ts'
import { objectProperties } from './commands/object.ts'
import type { CommandName, ResultOf } from './commands.ts'
import { anything, type Shape, structure, text } from './shape.ts'

/** The commands that answer something. */
type Answering = { [Name in CommandName]: ResultOf<Name> extends Nothing ? never : Name }[CommandName]

/**
 * What each answer must be like. A QEMU that its guest has taken over may say anything: what does not fit is refused here, and nobody
 * further up stumbles over it.
 */
const shapes: { readonly [Name in Answering]: Shape<ResultOf<Name>> } = {
  'human-monitor-command': text,
  'qom-get': anything,
  'qom-list': objectProperties,
  'query-block': blockDevices,
  'query-block-exports': exportInfos,
  'query-block-jobs': blockJobs,
  'query-blockstats': allBlockStatistics,
  'query-commands': commandNames,
  'query-cpus-fast': cpuInfos,
  'query-dump': dumpInfo,
  'query-fdsets': fdSets,
  'query-iothreads': ioThreads,
  'query-jobs': jobs,
  'query-kvm': kvmInfo,
  'query-memory-size-summary': memorySize,
  'query-migrate': migrationInfo,
  'query-migrate-capabilities': migrationCapabilities,
  'query-migrate-parameters': migrationParametersInfo,
  'query-named-block-nodes': blockNodeInfos,
  'query-pci': pciBuses,
  'query-qmp-schema': schemaEntries,
  'query-status': machineStatus,
  'query-version': qemuVersion,
  'query-yank': yankInstances,
}

const nothing = structure({})

/** What is wrong with `result` as an answer to `name`; `null` when nothing is. */
export function problemOfResult(name: CommandName, result: unknown): string | null {
  // Just looked up.
  const shape: Shape<unknown> = Object.hasOwn(shapes, name) ? shapes[name as Answering] : nothing
  return shape.problemIn(result, name)
}
