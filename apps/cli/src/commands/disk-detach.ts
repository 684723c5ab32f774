import type { DetachedDisk } from '@cryptvisor/control-plane-api'
import { wholeNumber } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { keyName } from '../key-name.ts'
import { formatSize } from '../quantity.ts'
import { table } from '../table.ts'

const diskNumber = wholeNumber(0, 63)

/** `disk detach`, `disk attach` and `disk remove`. */
export function addDiskDetach(disk: CliCommand, cli: Cli): void {
  disk
    .command('detach')
    .description(
      'take a disk from a VM, a locked one too; its layer stays on the datastore, its keys stay with the hosts, its storage policy is lost',
    )
    .argument('<vm>', 'name or ID of the VM')
    .argument('<number>', 'the disk, counted from 0', diskNumber)
    .option('--no-wait', 'do not wait until it is done')
    .examples('disk detach db1 1', 'disk list --detached')
    .action((vm: string, number: number, { wait }: { readonly wait: boolean }) =>
      cli.runTask((client) => client.detachDisk(vm, number, {}), wait),
    )
  disk
    .command('attach')
    .description(
      'attach a disk that was detached to a VM on the same datastore; an encrypted one with a policy that encrypts, a plain one with a plain policy',
    )
    .argument('<vm>', 'name or ID of the VM')
    .argument('<layer>', 'the layer, as «disk list --detached» names it')
    .option(
      '--policy <name>',
      "the storage policy (default: VM Home's for an encrypted one, 'Datastore Default' for a plain one)",
    )
    .option('--no-wait', 'do not wait until it is done')
    .examples('disk attach db1 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b --policy Gold')
    .action((vm: string, layer: string, { policy, wait }: { readonly policy?: string; readonly wait: boolean }) =>
      cli.runTask((client) => client.attachDisk(vm, { layer, ...(policy === undefined ? {} : { policy }) }), wait),
    )
  disk
    .command('remove')
    .description('remove a disk of a VM, or one that was detached, with its data; a block device is left as it is')
    .argument('[vm]', 'name or ID of the VM')
    .argument('[number]', 'the disk, counted from 0', diskNumber)
    .option('--detached <layer>', 'a disk that was detached, instead of one of a VM')
    .option('--no-wait', 'do not wait until it is done')
    .examples('disk remove db1 1', 'disk remove --detached 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b')
    .action(
      (
        vm: string | undefined,
        number: number | undefined,
        { detached, wait }: { readonly detached?: string; readonly wait: boolean },
      ) => {
        if (detached !== undefined && vm === undefined) {
          return cli.runTask((client) => client.removeDetachedDisk(detached), wait)
        }
        if (detached === undefined && vm !== undefined && number !== undefined) {
          return cli.runTask((client) => client.detachDisk(vm, number, { remove: true }), wait)
        }
        throw new CliError('usage', 'give a VM and the number of its disk, or --detached and a layer', {
          field: '--detached',
          next: 'see cryptvisor disk remove --help',
        })
      },
    )
}

/** Detached disks, one a line. */
export function detachedTable(disks: readonly DetachedDisk[]): string {
  return table(
    ['LAYER', 'SIZE', 'FORMAT', 'ENCRYPTED', 'KEY', 'WAS', 'DETACHED', 'BY', 'DATASTORE', 'PATH'],
    disks.map((disk) => [
      disk.layer,
      formatSize(disk.sizeBytes),
      disk.format,
      disk.encrypted ? 'yes' : 'no',
      keyName(disk.key),
      `disk ${disk.number} of ${disk.vm}`,
      disk.detachedAt,
      disk.detachedBy,
      disk.datastore,
      disk.path,
    ]),
  )
}
