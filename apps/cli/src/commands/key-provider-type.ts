import { wrappingDaysMax, wrappingDaysMin } from '@cryptvisor/control-plane-api'
import { Argument } from 'commander'
import { wholeNumber } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import type { CliCommand } from '../command.ts'
import { keySheets } from '../key-provider/native-words.ts'
import { line } from '../printable.ts'

interface TypeOptions {
  readonly rotationDays?: number
  readonly wrappingKey?: string
}

/** `key-provider key-type` and `rotate-wrapping-key`: one key for each VM, or one for many. */
export function addProviderKeyType(provider: CliCommand, cli: Cli): void {
  provider
    .command('key-type')
    .description(
      'say which keys a provider gives from now on. raw: each VM has a key of its own. wrapped: VMs share a wrapping key, so that few keys lie in the key server; another one is made after some days. VMs keep the keys that they have: «vm rekey» moves them',
    )
    .argument('<name>', 'its name')
    .addArgument(new Argument('<type>', 'raw or wrapped').choices(['raw', 'wrapped']))
    .option(
      '--rotation-days <n>',
      `wrapped: make another wrapping key after so many days, ${wrappingDaysMin} to ${wrappingDaysMax} (365, when it is left out)`,
      wholeNumber(wrappingDaysMin, wrappingDaysMax),
    )
    .option('--wrapping-key <key-id>', 'wrapped: take this key of the provider, for good, instead of making one')
    .examples('key-provider key-type kms wrapped --rotation-days 90', 'key-provider key-type kms raw')
    // Commander checked the choice.
    .action((name: string, keyType: 'raw' | 'wrapped', options: TypeOptions) =>
      cli.showAnswer(
        (client) => client.setKeyType(name, { keyType, ...options }),
        (changed) =>
          keySheets({ ...changed, native: null })
            .slice(1)
            .join(''),
      ),
    )
  provider
    .command('rotate-wrapping-key')
    .description(
      'have another wrapping key made now. What is encrypted next takes it; VMs keep the old one until «vm rekey», and it stays as long as one has it',
    )
    .argument('<name>', 'its name')
    .examples('key-provider rotate-wrapping-key kms')
    .action((name: string) =>
      cli.showAnswer(
        (client) => client.rotateWrappingKey(name),
        ({ wrapping }) => line(`${name} takes the wrapping key ${wrapping?.keyId} from now on`),
      ),
    )
}
