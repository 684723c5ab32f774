import type { Key } from '@cryptvisor/control-plane-api'
import { wholeNumber } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import type { CliCommand } from '../command.ts'
import { findKey } from '../find-key.ts'
import { keyWithProvider } from '../named-key.ts'
import type { Paint } from '../paint.ts'
import { formatTime } from '../quantity.ts'
import { sheet, table } from '../table.ts'
import { addKeysOrders } from './keys-orders.ts'
import { addKeysUsage } from './keys-usage.ts'
import { addKeysVerify } from './keys-verify.ts'

interface ListOptions {
  readonly provider?: string
  readonly limit?: number
  readonly offset?: number
}

/** `keys`: what the key providers say about our keys; never their bytes. */
export function addKeys(program: CliCommand, cli: Cli): void {
  const keys = program
    .command('keys')
    .description('keys: what the key providers say about them; nothing here ever shows key bytes')
  keys
    .command('list')
    .description('list the keys of a provider with state and use; an orphan is ours and tied to nothing')
    .option('--provider <name>', 'the provider (default: the default provider)')
    .option('--limit <n>', 'at most so many (100, when it is left out)', wholeNumber(1, 1000))
    .option('--offset <n>', 'leave out the first so many', wholeNumber(0, 1_000_000))
    .examples('keys list', 'keys list --provider kms --json')
    .action((options: ListOptions) =>
      cli.showAnswer(
        async (client) => (await client.keys(options)).keys,
        (keys) => keyTable(keys, cli.paint),
      ),
    )
  keys
    .command('show')
    .description("show a key's state and all its attributes, the x- ones too, and who uses it")
    .argument('<key>', 'PROVIDER/KEY-ID, a key ID, or its provider when the key ID follows')
    .argument('[key-id]', 'its key ID')
    .examples('keys show kms 0198f2c4-9b1e-7c55-a1a0-5d3f1f9f2f11', 'keys show 0198f2c4-9b1e-7c55-a1a0-5d3f1f9f2f11')
    .action((first: string, second: string | undefined) =>
      cli.showAnswer(
        async (client) => {
          const named = keyWithProvider(first, second)
          return named === null ? findKey(client, first) : client.key(named.provider, named.keyId)
        },
        (key) => keySheet(key, cli.paint),
      ),
    )
  addKeysUsage(keys, cli)
  addKeysOrders(keys, cli)
  addKeysVerify(keys, cli)
}

function keyTable(keys: readonly Key[], paint: Paint): string {
  return table(
    ['PROVIDER', 'KEY ID', 'STATE', 'ALGORITHM', 'USED BY'],
    keys.map((key) => [key.provider, key.keyId, stateOf(key, paint), algorithmOf(key), useOf(key, paint)]),
  )
}

function keySheet(key: Key, paint: Paint): string {
  const head = sheet([
    ['provider', key.provider],
    ['key ID', key.keyId],
    ['state', stateOf(key, paint)],
    ['object type', key.objectType],
    ['algorithm', algorithmOf(key)],
    ['used by', useOf(key, paint)],
    ['on record', recordOf(key)],
    ['age', key.record === null ? null : `${key.record.ageDays} days`],
    ...(key.destroyAt === null ? [] : [['destroyed at', paint('red', formatTime(key.destroyAt))] as const]),
  ])
  if (key.attributes.length === 0) return head
  const rows = key.attributes.map(({ name, index, type, value }) => [name, index, type, textOf(value)])
  return `${head}\n${table(['ATTRIBUTE', 'INDEX', 'TYPE', 'VALUE'], rows)}`
}

function stateOf({ state }: Key, paint: Paint) {
  if (state === null) return paint('red', 'missing')
  return paint(state === 'Active' ? 'green' : 'yellow', state)
}

function recordOf({ record }: Key): string | null {
  if (record === null) return null
  return record.retiredAt === null ? record.state : `${record.state} since ${formatTime(record.retiredAt)}`
}

function algorithmOf({ algorithm, lengthBits }: Key): string | null {
  if (algorithm === null) return null
  return lengthBits === null ? algorithm : `${algorithm} ${lengthBits}`
}

function useOf({ usedBy, orphan }: Key, paint: Paint) {
  if (usedBy.length > 0) return usedBy.map(({ kind, name }) => `${kind} ${name}`).join(', ')
  return orphan ? paint('yellow', 'nothing (orphan)') : 'nothing'
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
