import type { DiskFormat, PowerState } from '@cryptvisor/control-plane-api'
import { Option } from 'commander'
import { diskFormats, diskSizes } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import type { CliCommand } from '../command.ts'
import { addPlacementOptions, type PlacementOptions, placementOf } from '../vm-placement.ts'
import { lockedTable, vmSheet, vmTable } from '../vm-words.ts'
import { addVmKeys } from './keys-usage.ts'
import { addVmPolicy } from './vm-assign.ts'
import { addVmClone } from './vm-clone.ts'
import { addVmErase } from './vm-erase.ts'
import { addVmImport } from './vm-import.ts'
import { addVmMove } from './vm-move.ts'
import { addVmPolicyChanges } from './vm-policy.ts'
import { addVmPower } from './vm-power.ts'
import { addVmRegistration } from './vm-registration.ts'
import { addVmRekey } from './vm-rekey.ts'
import { addVmUnlock } from './vm-unlock.ts'

interface CreateOptions extends PlacementOptions {
  readonly disk?: readonly number[]
  readonly format?: DiskFormat
  readonly policy?: string
  readonly keyProvider?: string
  readonly firmware?: 'bios' | 'uefi'
  readonly wait: boolean
}

interface ListOptions {
  readonly locked?: boolean
  readonly host?: string
  readonly power?: 'on' | PowerState
}

const powerStates: readonly PowerState[] = ['off', 'starting', 'running', 'paused', 'stopping', 'failed', 'unknown']

/** `vm`: virtual machines. */
export function addVm(program: CliCommand, cli: Cli): void {
  const vm = program.command('vm').description('VMs: virtual machines, and whether they are encrypted')
  addVmCreate(vm, cli)
  addVmImport(vm, cli)
  vm.command('list')
    .description(
      'list the VMs with power, encryption and lock state; with --locked those that do not open, why, and since when',
    )
    .option('--locked', 'only those that are locked, or of which nothing is known, with the reason')
    .option('--host <name>', 'only those on this host')
    .addOption(
      new Option('--power <state>', 'only those in this state; on: all that run, or may').choices([
        'on',
        ...powerStates,
      ]),
    )
    .examples('vm list', 'vm list --locked --host host-a', 'vm list --power on')
    .action(({ locked, host, power }: ListOptions) =>
      cli.showAnswer(
        async (client) =>
          (await client.vms()).vms
            .filter((each) => host === undefined || each.host === host)
            .filter(
              ({ power: { state } }) => power === undefined || state === power || (power === 'on' && state !== 'off'),
            )
            .filter((each) => locked !== true || each.lock.state !== 'unlocked'),
        (vms) => (locked === true ? lockedTable(vms, cli.paint) : vmTable(vms, cli.paint)),
      ),
    )
  vm.command('show')
    .description('show a VM: lock state with its reason, VM Home, and each disk with policy and key')
    .argument('<vm>', 'its name or ID')
    .action((name: string) =>
      cli.showAnswer(
        (client) => client.vm(name),
        (each) => vmSheet(each, cli.paint),
      ),
    )
  addVmPower(vm, cli)
  addVmPolicyChanges(vm, cli)
  addVmPolicy(vm, cli)
  addVmRekey(vm, cli)
  addVmClone(vm, cli)
  addVmKeys(vm, cli)
  addVmMove(vm, cli)
  addVmRegistration(vm, cli)
  addVmUnlock(vm, cli)
  addVmErase(vm, cli)
  vm.command('delete')
    .description('delete a VM with its disks')
    .argument('<vm>', 'its name or ID')
    .option('--no-wait', 'do not wait until it is done')
    .action((name: string, { wait }: { readonly wait: boolean }) =>
      cli.runTask((client) => client.deleteVm(name), wait),
    )
}

function addVmCreate(vm: CliCommand, cli: Cli): void {
  addPlacementOptions(
    vm
      .command('create')
      .description('create a VM with empty disks; with an encryption policy it is encrypted from the start')
      .argument('<name>', 'its name')
      .option('--disk <size>', 'an empty disk, such as 10GiB; give the option once for each', diskSizes)
      .addOption(new Option('--format <format>', 'how the disks are kept').choices(diskFormats))
      .option('--policy <name>', "the storage policy, such as 'VM Encryption Policy'")
      .option('--key-provider <name>', 'who makes the key (default: the default provider)'),
  )
    .addOption(new Option('--firmware <firmware>', 'what the VM boots with').choices(['bios', 'uefi']))
    .option('--no-wait', 'do not wait until it is done')
    .examples("vm create db1 --disk 10GiB --policy 'VM Encryption Policy'", 'vm create db2 --disk 20GiB --disk 512MiB')
    .action((name: string, options: CreateOptions) => {
      const { disk, format, policy, keyProvider, firmware, wait } = options
      const disks = disk?.map((sizeBytes) => ({ sizeBytes, ...(format === undefined ? {} : { format }) }))
      return cli.runTask(
        (client) =>
          client.createVm({
            name,
            ...placementOf(options),
            ...(disks === undefined ? {} : { disks }),
            ...(policy === undefined ? {} : { policy }),
            ...(keyProvider === undefined ? {} : { keyProvider }),
            ...(firmware === undefined ? {} : { firmware }),
          }),
        wait,
      )
    })
}
