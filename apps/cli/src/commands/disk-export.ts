import type { DiskFormat } from '@cryptvisor/control-plane-api'
import { Option } from 'commander'
import { diskFormats, wholeNumber } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { requireFree, writeExport } from '../exported-file.ts'
import { line } from '../printable.ts'
import { transferDisplay } from '../progress.ts'
import { formatSize } from '../quantity.ts'

interface ExportOptions {
  readonly format: DiskFormat
}

/** `disk export`: a disk's image, plain, as a file. */
export function addDiskExport(disk: CliCommand, cli: Cli): void {
  disk
    .command('export')
    .description('read a disk out into a new file, plain, whatever it is kept in')
    .argument('<vm>', 'name or ID of the VM')
    .argument('<n>', 'its number, counted from 0', wholeNumber(0, 63))
    .argument('<file>', 'where to; it must not be there yet, and others cannot read it')
    .addOption(new Option('--format <format>', 'of the file').choices(diskFormats).default('raw'))
    .examples('disk export db1 0 db1.img', 'disk export db1 0 db1.qcow2 --format qcow2')
    .action(async (vm: string, number: number, path: string, { format }: ExportOptions) => {
      refuseStandardOutput(path)
      await requireFree(path)
      const made = await cli.withClient((client) =>
        cli.surroundings.interrupt.during(async (signal) => {
          using display = cli.progress()
          try {
            const { stream, sizeBytes } = await client.exportDisk(vm, number, { format }, signal)
            const shown = transferDisplay(cli.surroundings, display, `reading disk ${number}`, sizeBytes)
            return { path, format, sizeBytes, sha256: await writeExport(path, stream, shown) }
          } catch (error) {
            if (!signal.aborted || error instanceof CliError) throw error
            throw new CliError('interrupted', 'the export was interrupted; nothing of it is left', { cause: error })
          }
        }),
      )
      cli.show(made, () => line(`${path}: ${format}, ${formatSize(made.sizeBytes)}, SHA-256 ${made.sha256}`))
    })
}

/** The result's words go there, and a pipe cannot be taken back when the disk breaks off. */
function refuseStandardOutput(path: string): void {
  if (path !== '-') return
  throw new CliError('usage', 'file: a disk is not written to standard output', {
    field: 'file',
    next: 'give the name of a file (./- for one that is called so)',
  })
}
