import type { UsedKeyHealth } from '@cryptvisor/control-plane-api'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { findKey } from '../find-key.ts'
import type { Paint } from '../paint.ts'
import { formatTime } from '../quantity.ts'
import { sheet, table } from '../table.ts'

interface HealthOptions {
  readonly provider?: string
  readonly bad?: boolean
}

interface VerifyOptions {
  readonly all?: boolean
  readonly provider?: string
}

/** `keys health` and `keys verify`: whether the keys in use can be had and are the right ones. */
export function addKeysVerify(keys: CliCommand, cli: Cli): void {
  keys
    .command('health')
    .description('list the keys in use with what reading them back from the key server found, and when')
    .option('--provider <name>', 'only those of this provider')
    .option('--bad', 'only those that are not as they should be')
    .examples('keys health', 'keys health --bad --json')
    .action(({ provider, bad }: HealthOptions) =>
      cli.showAnswer(
        async (client) =>
          (
            await client.keyHealth({
              ...(provider === undefined ? {} : { provider }),
              ...(bad === undefined ? {} : { bad }),
            })
          ).keys,
        (found) => healthTable(found, cli.paint),
      ),
    )
  keys
    .command('verify')
    .description(
      'read a key in use, or all of them, back from the key server now: is it Active, can it be had, and is it the one that the hosts hold? Done by itself at an interval, too. The exit code is 1 when a key is not as it should be',
    )
    .argument('[key]', 'its key ID, or its provider when the key ID follows')
    .argument('[key-id]', 'its key ID')
    .option('--all', 'all keys in use')
    .option('--provider <name>', 'with --all: only those of this provider')
    .examples('keys verify --all', 'keys verify kms 0198f2c4-9b1e-7c55-a1a0-5d3f1f9f2f11')
    .action(async (first: string | undefined, second: string | undefined, options: VerifyOptions) => {
      if ((first === undefined) === (options.all !== true)) {
        throw new CliError('usage', 'name a key, or give --all', { next: 'see cryptvisor keys verify --help' })
      }
      const found = first === undefined ? await verifyAll(cli, options) : await verifyOne(cli, first, second)
      requireGood(found)
    })
}

async function verifyOne(cli: Cli, first: string, second: string | undefined): Promise<UsedKeyHealth[]> {
  const health = await cli.withClient(async (client) => {
    const { provider, keyId } = second === undefined ? await findKey(client, first) : { provider: first, keyId: second }
    return client.verifyKey(provider, keyId)
  })
  cli.show(health, (each) => healthSheet(each, cli.paint))
  return [health]
}

async function verifyAll(cli: Cli, { provider }: VerifyOptions): Promise<UsedKeyHealth[]> {
  const named = provider === undefined ? {} : { provider }
  const found = await cli.withClient(async (client) => {
    const { task } = await client.verifyKeys(named)
    await cli.surroundings.interrupt.during((signal) => cli.waitFor(client, task, signal))
    return (await client.keyHealth(named)).keys
  })
  cli.show(found, (all) => healthTable(all, cli.paint))
  return found
}

function requireGood(found: readonly UsedKeyHealth[]): void {
  const bad = found.filter(({ state }) => state !== 'good')
  const [first] = bad
  if (first === undefined) return
  const what =
    bad.length === 1 ? `key ${first.keyId} of ${first.provider} is ${first.state}` : `${bad.length} keys are not good`
  throw new CliError('check-failed', what, {
    next: 'mend them at the key server before a host restarts, or rekey the VMs while hosts hold the keys (vm rekey)',
  })
}

function healthTable(keys: readonly UsedKeyHealth[], paint: Paint): string {
  return table(
    ['PROVIDER', 'KEY ID', 'STATE', 'GOOD LAST', 'USED BY', 'FOUND'],
    keys.map((key) => [
      key.provider,
      key.keyId,
      stateCell(key, paint),
      key.verifiedAt === null ? 'never' : formatTime(key.verifiedAt),
      usersOf(key),
      key.text,
    ]),
  )
}

function healthSheet(key: UsedKeyHealth, paint: Paint): string {
  return sheet([
    ['provider', key.provider],
    ['key ID', key.keyId],
    ['state', stateCell(key, paint)],
    ['found', key.text],
    ['checked', key.checkedAt === null ? 'never' : formatTime(key.checkedAt)],
    ['good last', key.verifiedAt === null ? 'never' : formatTime(key.verifiedAt)],
    ['bad since', key.badSince === null ? null : formatTime(key.badSince)],
    ['used by', usersOf(key)],
  ])
}

function usersOf({ vms, host }: UsedKeyHealth): string {
  return [...(host === null ? [] : [`host ${host}`]), ...vms.map((vm) => `VM ${vm}`)].join(', ')
}

function stateCell({ state }: UsedKeyHealth, paint: Paint) {
  return paint(state === 'good' ? 'green' : state === 'unchecked' || state === 'unreachable' ? 'yellow' : 'red', state)
}
