import type { Cli } from '../cli.ts'
import type { CliCommand } from '../command.ts'
import { line } from '../printable.ts'
import { folderTable } from '../registration-words.ts'
import { table } from '../table.ts'

/** `datastore`: folders that all hosts of a cluster see under the same path. */
export function addDatastore(program: CliCommand, cli: Cli): void {
  const datastore = program
    .command('datastore')
    .description('datastores: folders that all hosts of a cluster see under the same path')
  datastore
    .command('list')
    .description('list the datastores')
    .action(() =>
      cli.showAnswer(
        async (client) => (await client.datastores()).datastores,
        (datastores) =>
          table(
            ['NAME', 'CLUSTER', 'PATH'],
            datastores.map(({ name, cluster, path }) => [name, cluster, path]),
          ),
      ),
    )
  datastore
    .command('add')
    .description('make a datastore of a folder that is there on every host of the cluster')
    .argument('<name>', 'its name')
    .requiredOption('--cluster <name>', 'the cluster that it belongs to')
    .requiredOption('--path <path>', 'the folder, as an absolute path on the hosts')
    .examples('datastore add fast --cluster production --path /srv/vms')
    .action((name: string, { cluster, path }: { cluster: string; path: string }) =>
      cli.showAnswer(
        (client) => client.createDatastore({ name, cluster, path }),
        (made) => line(`made datastore ${made.name} at ${made.path}`),
      ),
    )
  datastore
    .command('browse')
    .description('list the folders of a datastore that hold VMs, and which of them are registered')
    .argument('<name>', 'its name')
    .examples('datastore browse fast')
    .action((name: string) =>
      cli.showAnswer(
        async (client) => (await client.datastoreFolders(name)).folders,
        (folders) => folderTable(folders, cli.paint),
      ),
    )
  datastore
    .command('remove')
    .description('remove a datastore that holds no VM; its folder stays')
    .argument('<name>', 'its name')
    .action((name: string) => cli.remove('datastore', name, (client) => client.deleteDatastore(name)))
}
