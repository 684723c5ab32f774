import type { Disk, DiskFormat } from '@cryptvisor/control-plane-api'
import { Option } from 'commander'
import { diskFormats, diskSize } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { keyName } from '../key-name.ts'
import type { Paint } from '../paint.ts'
import { formatSize } from '../quantity.ts'
import { type Cell, table } from '../table.ts'
import { addDiskDetach, detachedTable } from './disk-detach.ts'
import { addDiskExport } from './disk-export.ts'
import { addDiskHeader } from './disk-header.ts'
import { addDiskImport } from './disk-import.ts'

interface AddOptions {
  readonly size: number
  readonly device?: string
  readonly format?: DiskFormat
  readonly policy?: string
  readonly wait: boolean
}

/** `disk`: the virtual disks of a VM. */
export function addDisk(program: CliCommand, cli: Cli): void {
  const disk = program.command('disk').description('disks: the virtual disks of a VM; they count from 0')
  disk
    .command('list')
    .description('list the disks of a VM, or those that were detached and lie on their datastores still')
    .argument('[vm]', 'name or ID of the VM')
    .option('--detached', 'those that were detached, of all VMs')
    .examples('disk list db1', 'disk list --detached')
    .action((vm: string | undefined, { detached }: { readonly detached?: boolean }) => {
      if (detached === true && vm === undefined) {
        return cli.showAnswer(async (client) => (await client.detachedDisks()).disks, detachedTable)
      }
      if (vm === undefined || detached === true) {
        throw new CliError('usage', 'give a VM, or --detached', {
          field: '--detached',
          next: 'see cryptvisor disk list --help',
        })
      }
      return cli.showAnswer(
        async (client) => (await client.disks(vm)).disks,
        (disks) => diskTable(disks, cli.paint),
      )
    })
  disk
    .command('add')
    .description('add an empty disk to a VM, or a block device with what lies on it')
    .argument('<vm>', 'name or ID of the VM')
    .requiredOption('--size <size>', 'what the guest sees, such as 10GiB', diskSize)
    .option(
      '--device <path>',
      'the beginning of this block device, plain; encrypting it in place needs 2 MiB more of it',
    )
    .addOption(new Option('--format <format>', 'how the image is kept').choices(diskFormats))
    .option('--policy <name>', 'the storage policy (default: as that of VM Home)')
    .option('--no-wait', 'do not wait until it is done')
    .examples(
      'disk add db1 --size 10GiB',
      "disk add db1 --size 10GiB --policy 'VM Encryption Policy'",
      'disk add db1 --device /dev/disk/by-id/wwn-0x5000c500a1b2c3d4 --size 100GiB',
    )
    .action((vm: string, { size, device, format, policy, wait }: AddOptions) =>
      cli.runTask(
        (client) =>
          client.addDisk(vm, {
            sizeBytes: size,
            ...(device === undefined ? {} : { device }),
            ...(format === undefined ? {} : { format }),
            ...(policy === undefined ? {} : { policy }),
          }),
        wait,
      ),
    )
  addDiskImport(disk, cli)
  addDiskExport(disk, cli)
  addDiskHeader(disk, cli)
  addDiskDetach(disk, cli)
}

function diskTable(disks: readonly Disk[], paint: Paint): string {
  return table(
    ['DISK', 'SIZE', 'FORMAT', 'ENCRYPTED', 'KEY', 'POLICY', 'PATH'],
    disks.map((disk) => [
      disk.number,
      formatSize(disk.sizeBytes),
      disk.format,
      encryptedCell(disk, paint),
      keyName(disk.key),
      disk.policy,
      disk.path,
    ]),
  )
}

function encryptedCell({ encrypted }: Disk, paint: Paint): Cell {
  return encrypted ? paint('green', 'yes') : 'no'
}
