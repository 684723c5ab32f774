import { type ChangePolicy, encryptionPolicy, plainPolicy, type Vm } from '@cryptvisor/control-plane-api'
import type { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'
import { diskNumbers } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import type { CliCommand } from '../command.ts'
import { requireEncryptionPolicy } from '../encryption-policy.ts'
import { addPaceOptions, type PaceOptions, paceOf } from '../pace-options.ts'

/** Which parts of a VM are meant; the whole VM when neither is given. */
interface Parts {
  readonly disk?: readonly number[]
  readonly home?: boolean
}

interface EncryptOptions extends Parts, PaceOptions {
  readonly thin?: boolean
  readonly policy?: string
  readonly keyProvider?: string
  readonly wait: boolean
}

interface DecryptOptions extends Parts, PaceOptions {
  readonly wait: boolean
}

/** `vm encrypt` and `vm decrypt`: both change storage policies, which is what encrypts and decrypts. */
export function addVmPolicyChanges(vm: CliCommand, cli: Cli): void {
  addPaceOptions(
    vm
      .command('encrypt')
      .description(
        'encrypt a VM: VM Home and all disks, or the parts that are named (VM Home with them while it is plain)',
      )
      .argument('<vm>', 'its name or ID')
      .option('--disk <n>', 'this disk only, counted from 0; give the option once for each', diskNumbers)
      .option('--home', 'VM Home only')
      .option('--policy <name>', 'the storage policy', encryptionPolicy)
      .option('--key-provider <name>', 'who makes the key (default: the default provider)')
      .option('--thin', 'make raw disks qcow2, in which zeros take no room (default: as the policy says)'),
  )
    .option('--no-wait', 'do not wait until it is done')
    .examples(
      'vm encrypt db1',
      'vm encrypt db1 --disk 0 --disk 2',
      'vm encrypt db1 --thin --limit 200MiB/s',
      'vm encrypt db1 --no-wait --json',
    )
    .action(
      (name: string, { policy = encryptionPolicy, keyProvider, thin, wait, verify, limit, ...parts }: EncryptOptions) =>
        cli.runTask(async (client) => {
          if (policy !== encryptionPolicy) await requireEncryptionPolicy(client, policy)
          return client.changePolicy(name, {
            ...(await encryptedParts(client, name, policy, parts)),
            ...(keyProvider === undefined ? {} : { keyProvider }),
            ...(thin === undefined ? {} : { thin }),
            ...paceOf({ verify, ...(limit === undefined ? {} : { limit }) }),
          })
        }, wait),
    )
  addPaceOptions(
    vm
      .command('decrypt')
      .description('decrypt a VM: all that is encrypted, VM Home last; or the parts that are named')
      .argument('<vm>', 'its name or ID')
      .option('--disk <n>', 'this disk only, counted from 0; give the option once for each', diskNumbers)
      .option('--home', 'VM Home only; every disk must be plain by then'),
  )
    .option('--no-wait', 'do not wait until it is done')
    .examples('vm decrypt db1', 'vm decrypt db1 --disk 0')
    .action((name: string, { wait, ...options }: DecryptOptions) =>
      cli.runTask(
        (client) =>
          client.changePolicy(name, {
            ...(namedParts(plainPolicy, options) ?? { policy: plainPolicy }),
            ...paceOf(options),
          }),
        wait,
      ),
    )
}

/** An encrypted disk needs an encrypted VM Home, so disks that are named take a plain one along. */
async function encryptedParts(client: ControlPlaneClient, name: string, policy: string, parts: Parts) {
  const named = namedParts(policy, parts)
  if (named === null) return { policy }
  if (named.home !== undefined) return named
  const { home }: Vm = await client.vm(name)
  return home.encrypted ? named : { ...named, home: policy }
}

/** `null` when no part is named. */
function namedParts(policy: string, { disk, home }: Parts): Pick<ChangePolicy, 'home' | 'disks'> | null {
  if (disk === undefined && home !== true) return null
  return {
    ...(home === true ? { home: policy } : {}),
    ...(disk === undefined ? {} : { disks: disk.map((number) => ({ number, policy })) }),
  }
}
