import type { Cli } from '../cli.ts'
import type { CliCommand } from '../command.ts'
import { line } from '../printable.ts'
import { table } from '../table.ts'
import { addCryptoMode } from './host-crypto.ts'

/** `cluster`: hosts that share the keys of their VMs. */
export function addCluster(program: CliCommand, cli: Cli): void {
  const cluster = program
    .command('cluster')
    .description('clusters: hosts that share datastores and the keys of their VMs')
  cluster
    .command('list')
    .description('list the clusters with their hosts')
    .action(() =>
      cli.showAnswer(
        async (client) => (await client.clusters()).clusters,
        (clusters) =>
          table(
            ['NAME', 'CRYPTO MODE', 'HOSTS'],
            clusters.map(({ name, cryptoMode, hosts }) => [name, cryptoMode, hosts.join(', ')]),
          ),
      ),
    )
  cluster
    .command('add')
    .description('make a cluster')
    .argument('<name>', 'its name')
    .examples('cluster add production')
    .action((name: string) =>
      cli.showAnswer(
        (client) => client.createCluster({ name }),
        (made) => line(`made cluster ${made.name}`),
      ),
    )
  cluster
    .command('remove')
    .description('remove a cluster that has no hosts and no datastores')
    .argument('<name>', 'its name')
    .action((name: string) => cli.remove('cluster', name, (client) => client.deleteCluster(name)))
  addCryptoMode(cluster, cli)
}
