import type { Cli } from '../cli.ts'
import type { CliCommand } from '../command.ts'
import { line } from '../printable.ts'

/** `vm move`: into another folder of the inventory. */
export function addVmMove(vm: CliCommand, cli: Cli): void {
  vm.command('move')
    .description(
      'put a VM into another folder of the inventory; its files stay, and permissions of the folder count for it',
    )
    .argument('<vm>', 'its name or ID')
    .requiredOption('--folder <path>', 'where it goes, such as /Sales; / for the root')
    .examples('vm move db1 --folder /Sales/Berlin')
    .action((name: string, { folder }: { readonly folder: string }) =>
      cli.showAnswer(
        (client) => client.moveVm(name, { folder }),
        (moved) => line(`VM ${moved.name} is in folder ${moved.folder} now`),
      ),
    )
}
