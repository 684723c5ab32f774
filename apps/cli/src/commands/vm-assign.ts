import { diskNumbers } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import type { CliCommand } from '../command.ts'

interface AssignOptions {
  readonly policy: string
  readonly disk?: readonly number[]
  readonly home?: boolean
  readonly wait: boolean
}

/** `vm policy`: gives a VM, or parts of it, another storage policy, whatever that takes. */
export function addVmPolicy(vm: CliCommand, cli: Cli): void {
  vm.command('policy')
    .description(
      'give a VM, or the parts that are named, another storage policy: encrypts what is plain and is not to be, decrypts the other way round; between two policies that encrypt, no data moves («policy apply» brings provider and age of the keys into line)',
    )
    .argument('<vm>', 'its name or ID')
    .requiredOption('--policy <name>', 'the storage policy')
    .option('--disk <n>', 'this disk only, counted from 0; give the option once for each', diskNumbers)
    .option('--home', 'VM Home only')
    .option('--no-wait', 'do not wait until it is done')
    .examples('vm policy db1 --policy Gold', 'vm policy db1 --policy Gold --disk 0')
    .action((name: string, { policy, disk, home, wait }: AssignOptions) =>
      cli.runTask(
        (client) =>
          client.changePolicy(
            name,
            disk === undefined && home !== true
              ? { policy }
              : {
                  ...(home === true ? { home: policy } : {}),
                  ...(disk === undefined ? {} : { disks: disk.map((number) => ({ number, policy })) }),
                },
          ),
        wait,
      ),
    )
}
