export type { BlockDevice, BlockNodeInfo, Mirror, TransactionAction } from './commands/block.ts'
export type {
  BlockNode,
  CopyBeforeWriteNode,
  FileNode,
  LuksNode,
  NbdNode,
  NewImage,
  Qcow2Node,
  RawNode,
  SocketAddress,
} from './commands/block-node.ts'
export type { BlockExport } from './commands/export.ts'
export type { BlockJob, Job, JobStatus } from './commands/job.ts'
export type { MachineRunStatus, NewDevice, PciDevice, RunStatus } from './commands/machine.ts'
export type { MigrationCapability, MigrationInfo, MigrationParameters, MigrationStatus } from './commands/migration.ts'
export type { QemuVersion } from './commands/monitor.ts'
export type { NewObject } from './commands/object.ts'
export type { ArgumentsOf, CommandName, Commands, ResultOf } from './commands.ts'
export { type ConnectOptions, connectQmp, connectSocket, connectWithinMs } from './connect-qmp.ts'
export type { Mark } from './event-log.ts'
export { Features } from './features.ts'
export { MasterSecret } from './master-secret.ts'
export type { Greeting } from './message.ts'
export { overwriteFreed } from './overwrite-freed.ts'
export {
  type CommandOptions,
  commandTimeoutMs,
  type EventWait,
  greetingTimeoutMs,
  Qmp,
  type QmpOptions,
  type QmpTrace,
} from './qmp.ts'
export { QmpError, type QmpErrorCode } from './qmp-error.ts'
export { type EventName, isEvent, type KnownEvent, type QmpEvent } from './qmp-event.ts'
