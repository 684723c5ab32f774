import { Option } from 'commander'
import type { Cli } from '../cli.ts'
import type { CliCommand } from '../command.ts'
import { addPaceOptions, type PaceOptions, paceOf } from '../pace-options.ts'

interface CloneOptions extends PaceOptions {
  readonly folder?: string
  readonly host?: string
  readonly datastore?: string
  readonly keys?: 'same' | 'new'
  readonly keyProvider?: string
  readonly wait: boolean
}

/** `vm clone`: a full copy of a VM. */
export function addVmClone(vm: CliCommand, cli: Cli): void {
  addPaceOptions(
    vm
      .command('clone')
      .description('make a full copy of a VM in its cluster; what is encrypted stays so')
      .argument('<vm>', 'name or ID of the VM to copy')
      .argument('<name>', 'the name of the copy')
      .option('--folder <path>', 'the folder of the inventory (default: that of the VM)')
      .option('--host <name>', 'the host (default: that of the VM)')
      .option('--datastore <name>', 'the datastore (default: that of the VM)')
      .addOption(
        new Option(
          '--keys <which>',
          "new: encrypted anew under keys of its own (the default); same: the VM's keys",
        ).choices(['new', 'same']),
      )
      .option('--key-provider <name>', 'who makes the new key (default: the default provider)'),
  )
    .option('--no-wait', 'do not wait until it is done')
    .examples('vm clone db1 db2', 'vm clone db1 db2 --keys same')
    .action(
      (source: string, name: string, { folder, host, datastore, keys, keyProvider, wait, ...pace }: CloneOptions) =>
        cli.runTask(
          (client) =>
            client.cloneVm(source, {
              name,
              ...(folder === undefined ? {} : { folder }),
              ...(host === undefined ? {} : { host }),
              ...(datastore === undefined ? {} : { datastore }),
              ...(keys === undefined ? {} : { keys }),
              ...(keyProvider === undefined ? {} : { keyProvider }),
              ...paceOf(pace),
            }),
          wait,
        ),
    )
}
