import type { BitmapCommands } from './commands/bitmap.ts'
import type { BlockCommands } from './commands/block.ts'
import type { ExportCommands } from './commands/export.ts'
import type { JobCommands } from './commands/job.ts'
import type { MachineCommands } from './commands/machine.ts'
import type { MigrationCommands } from './commands/migration.ts'
import type { MonitorCommands } from './commands/monitor.ts'
import type { Nothing } from './commands/nothing.ts'
import type { ObjectCommands } from './commands/object.ts'

/**
 * The commands that we use, as functions from their arguments to their answers, under QEMU's own names. They are those of QEMU 7.2 (a test
 * compares them with a real one's schema); what newer versions add is asked for with `Features` first.
 */
export interface Commands
  extends BitmapCommands,
    BlockCommands,
    ExportCommands,
    JobCommands,
    MachineCommands,
    MigrationCommands,
    MonitorCommands,
    ObjectCommands {}

export type CommandName = keyof Commands

export type ArgumentsOf<Name extends CommandName> = [Parameters<Commands[Name]>[0]] extends [undefined]
  ? Nothing | undefined
  : Parameters<Commands[Name]>[0]

export type ResultOf<Name extends CommandName> = ReturnType<Commands[Name]>
