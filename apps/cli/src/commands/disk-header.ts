import { wholeNumber } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { requireFree, writeExport } from '../exported-file.ts'
import { ImageFile } from '../image-file.ts'
import { line } from '../printable.ts'
import { transferDisplay } from '../progress.ts'
import { formatSize } from '../quantity.ts'
import { sendFor } from '../send-for.ts'

/** `disk header-backup` and `disk header-restore`: the LUKS header of an encrypted disk, without which it cannot be read. */
export function addDiskHeader(disk: CliCommand, cli: Cli): void {
  disk
    .command('header-backup')
    .description('back up the LUKS header of an encrypted disk, with its wrapped key; after each rekey make a new one')
    .argument('<vm>', 'name or ID of the VM, which may be locked')
    .argument('<n>', 'the number of the disk, counted from 0', wholeNumber(0, 63))
    .argument('<file>', 'where to; it must not be there yet, and others cannot read it')
    .examples('disk header-backup db1 0 db1-0.header')
    .action(async (vm: string, number: number, path: string) => {
      await requireFree(path)
      const made = await cli.withClient((client) =>
        cli.surroundings.interrupt.during(async (signal) => {
          using display = cli.progress()
          try {
            const { stream, sizeBytes } = await client.backupHeader(vm, number, signal)
            const shown = transferDisplay(cli.surroundings, display, `reading the header of disk ${number}`, sizeBytes)
            return { path, sizeBytes, sha256: await writeExport(path, stream, shown) }
          } catch (error) {
            if (!signal.aborted) throw error
            throw new CliError('interrupted', 'the backup was interrupted; nothing of it is left', { cause: error })
          }
        }),
      )
      cli.show(made, () => line(`${path}: ${formatSize(made.sizeBytes)}, SHA-256 ${made.sha256}`))
    })
  disk
    .command('header-restore')
    .description('write the LUKS header of an encrypted disk back from a backup; no data moves')
    .argument('<vm>', 'name or ID of the VM, which is locked while the header is damaged')
    .argument('<n>', 'the number of the disk, counted from 0', wholeNumber(0, 63))
    .argument('<file>', 'what «disk header-backup» has written of this disk, since its last rekey')
    .examples('disk header-restore db1 0 db1-0.header')
    .action(async (vm: string, number: number, path: string) => {
      await using backup = await ImageFile.openHeaderBackup({ path })
      const task = await cli.withClient((client) =>
        sendFor(cli, client, backup, path, async () => {
          const { task } = await client.restoreHeader(vm, number, { contentBytes: backup.sizeBytes })
          return { task, before: async () => undefined }
        }),
      )
      cli.showTask(task)
    })
}
