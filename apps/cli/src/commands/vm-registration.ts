import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { line } from '../printable.ts'
import { comparisonSheet, reconciliationSheet } from '../registration-words.ts'
import { vmSheet } from '../vm-words.ts'

interface RegisterOptions {
  readonly host?: string
  readonly name?: string
  readonly folder?: string
}

/** `vm register`, `vm unregister` and `vm reconcile`: VMs whose files are on a datastore already. */
export function addVmRegistration(vm: CliCommand, cli: Cli): void {
  vm.command('register')
    .description(
      'take a VM into the inventory that lies on a datastore: copied there, restored, or from another control plane. First it is checked that its key providers are here (under the same names), that its keys can be had, and that the host opens every disk with them',
    )
    .argument('<datastore>', 'the datastore')
    .argument('<folder>', 'the folder, as «datastore browse» shows it')
    .option('--host <name>', 'where it goes (default: a connected host of the cluster)')
    .option('--name <name>', 'what it is called from now on (default: as its files say)')
    .option('--folder <path>', 'the folder of the inventory that it goes into (default: the root)')
    .examples('vm register fast db1', 'vm register fast db1 --host host-a --name db1-restored')
    .action((datastore: string, datastoreFolder: string, { host, name, folder }: RegisterOptions) =>
      cli.showAnswer(
        (client) =>
          client.registerVm({
            datastore,
            datastoreFolder,
            ...(folder === undefined ? {} : { folder }),
            ...(host === undefined ? {} : { host }),
            ...(name === undefined ? {} : { name }),
          }),
        (registered) => vmSheet(registered, cli.paint),
      ),
    )
  vm.command('unregister')
    .description('take a VM out of the inventory; its files stay where they are, and its keys stay in the key server')
    .argument('<vm>', 'its name or ID')
    .examples('vm unregister db1')
    .action(async (name: string) => {
      await cli.withClient((client) => client.unregisterVm(name))
      cli.show({ unregistered: name }, () => line(`VM ${name} is out of the inventory; its files and keys stay`))
    })
  vm.command('reconcile')
    .description(
      'compare what the inventory says of VMs with what lies on their datastores, as after a restore of the control plane; changes nothing without --accept',
    )
    .argument('[vm]', 'its name or ID (default: all, with the folders that hold VMs which are not in the inventory)')
    .option('--accept', 'take over what the datastore says of this VM, if it is newer and its host opens it')
    .examples('vm reconcile', 'vm reconcile db1', 'vm reconcile db1 --accept')
    .action((name: string | undefined, { accept }: { readonly accept?: boolean }) =>
      reconcile(cli, name, accept === true),
    )
}

async function reconcile(cli: Cli, name: string | undefined, accept: boolean): Promise<void> {
  if (name === undefined) {
    if (accept) {
      throw new CliError('usage', '--accept: name the VM', {
        field: '--accept',
        next: 'look at «cryptvisor vm reconcile» and accept the VMs one by one, each after its differences were read',
      })
    }
    await cli.showAnswer(
      (client) => client.reconciliation(),
      (report) => reconciliationSheet(report, cli.paint),
    )
    return
  }
  if (!accept) {
    await cli.showAnswer(
      (client) => client.vmReconciliation(name),
      (compared) => comparisonSheet(compared, cli.paint),
    )
    return
  }
  await cli.withClient(async (client) => {
    const compared = await client.vmReconciliation(name)
    if (compared.state !== 'newer' || compared.foundGeneration === null) {
      throw new CliError(
        'check-failed',
        `VM ${name}: its state is «${compared.state}», so there is nothing to accept`,
        {
          ...(compared.advice === null ? {} : { next: compared.advice }),
        },
      )
    }
    if (cli.options.json !== true) cli.surroundings.stderr.write(comparisonSheet(compared, cli.paint))
    const accepted = await client.acceptVm(name, { generation: compared.foundGeneration })
    cli.show(accepted, (each) => vmSheet(each, cli.paint))
  })
}
