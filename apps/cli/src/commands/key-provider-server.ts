import { type ServerAddress, serverAddresses, wholeNumber } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { fingerprints, pinServers } from '../key-provider/trust-servers.ts'
import { addressOf } from '../key-provider/words.ts'
import { line } from '../printable.ts'

const positionMax = 8

interface AddOptions {
  readonly position?: number
  readonly acceptFingerprint?: readonly string[]
  readonly byCa?: boolean
}

interface UpdateOptions {
  readonly address?: readonly ServerAddress[]
  readonly position?: number
}

/** `key-provider server`: the servers of a provider, which may change while the provider and its keys keep their names. */
export function addProviderServer(provider: CliCommand, cli: Cli): void {
  const server = provider
    .command('server')
    .description('the servers of a key provider; they change while the provider and all its keys keep their names')
  server
    .command('add')
    .description('add a server that keeps the same keys as the others (a replica); shows its certificate and asks')
    .argument('<name>', 'the key provider')
    .argument('<host:port>', 'the server', (text: string) => serverAddresses(text))
    .option('--position <n>', 'when it is tried: 1 is first (default: last)', wholeNumber(1, positionMax))
    .option('--accept-fingerprint <sha256>', 'its certificate, where nobody is to be asked', fingerprints)
    .option('--by-ca', 'trust it by the CA of the provider, without a fingerprint')
    .examples('key-provider server add kms kms-3:5696', 'key-provider server add kms kms-3 --by-ca --position 1')
    .action(async (name: string, addresses: readonly ServerAddress[], options: AddOptions) => {
      const { position, byCa, acceptFingerprint = [] } = options
      const changed = await cli.withClient(async (client) => {
        const [wish] = byCa === true ? addresses : await pinServers(cli, client, addresses, acceptFingerprint)
        // One address was given, so there is one.
        if (wish === undefined) throw new Error('a server was given and is gone')
        return client.addKeyServer(name, { ...wish, ...(position === undefined ? {} : { position: position - 1 }) })
      })
      cli.show(changed, () => line(`key provider ${name} has the servers ${changed.servers.map(addressOf).join(', ')}`))
      cli.hint(`see whether it serves the same keys: cryptvisor key-provider status ${name}`)
    })
  server
    .command('update')
    .description('change where a server is, or when it is tried; its pinned certificate stays')
    .argument('<name>', 'the key provider')
    .argument('<host:port>', 'the server as it is now', (text: string) => serverAddresses(text))
    .option('--address <host:port>', 'where it is from now on', (text: string) => serverAddresses(text))
    .option('--position <n>', 'when it is tried: 1 is first', wholeNumber(1, positionMax))
    .examples('key-provider server update kms kms-1:5696 --address 10.0.0.7:5696')
    .action(async (name: string, [old]: readonly ServerAddress[], { address, position }: UpdateOptions) => {
      if (old === undefined || (address === undefined && position === undefined)) {
        throw new CliError('usage', 'nothing is to be changed', { next: 'give --address, --position or both' })
      }
      await cli.showAnswer(
        (client) =>
          client.changeKeyServer(name, addressOf(old), {
            ...address?.[0],
            ...(position === undefined ? {} : { position: position - 1 }),
          }),
        (changed) => line(`key provider ${name} has the servers ${changed.servers.map(addressOf).join(', ')}`),
      )
    })
  server
    .command('remove')
    .description('forget a server; the last one stays')
    .argument('<name>', 'the key provider')
    .argument('<host:port>', 'the server', (text: string) => serverAddresses(text))
    .action(async (name: string, addresses: readonly ServerAddress[]) => {
      await cli.showAnswer(
        (client) => client.removeKeyServer(name, addresses.map(addressOf).join('')),
        (changed) => line(`key provider ${name} has the servers ${changed.servers.map(addressOf).join(', ')}`),
      )
    })
}
