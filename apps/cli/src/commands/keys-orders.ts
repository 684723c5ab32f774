import type { KeyOrder, KeyRequested } from '@cryptvisor/control-plane-api'
import { approvalSheet, approvalSteps } from '../approval-words.ts'
import { wholeNumber } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { namedKey } from '../named-key.ts'
import { line } from '../printable.ts'
import { formatTime } from '../quantity.ts'
import { table } from '../table.ts'
import { waitingTime } from '../waiting-time.ts'

interface DestroyOptions {
  readonly after?: number
  readonly force?: boolean
  readonly reason?: string
  readonly retired?: boolean
  readonly olderThan?: number
  readonly provider?: string
}

/** `keys destroy|revoke|restore|orders`: keys come to their end. */
export function addKeysOrders(keys: CliCommand, cli: Cli): void {
  addDestroy(keys, cli)
  keys
    .command('revoke')
    .description(
      'revoke a key at its provider, now, for good (KMIP: Deactivated, or Compromised); refused while something uses it',
    )
    .argument('<key>', 'PROVIDER/KEY-ID, a key ID, or its provider when the key ID follows')
    .argument('[key-id]', 'its key ID')
    .option('--compromised', 'somebody else may have it: Compromised')
    .option('--force', 'although something uses it: asks a second user, who is shown what that is')
    .option('--reason <text>', 'why; kept with the order and shown to whoever approves it')
    .examples('keys revoke kms/0198f2c4-…', 'keys revoke kms/0198f2c4-… --compromised --force --reason "laptop stolen"')
    .action(
      async (
        first: string,
        second: string | undefined,
        { compromised, force, reason }: { compromised?: boolean; force?: boolean; reason?: string },
      ) => {
        const requested = await cli.withClient(async (client) => {
          const { provider, keyId } = await namedKey(client, first, second)
          return client.revokeKey(provider, keyId, {
            ...(compromised === true ? { cause: 'key-compromise' as const } : {}),
            ...(force === true ? { force } : {}),
            ...(reason === undefined ? {} : { reason }),
          })
        })
        showRequested(cli, requested)
      },
    )
  keys
    .command('restore')
    .description('take back what is ordered for a key and not done yet (keys destroy, keys revoke)')
    .argument('<key>', 'PROVIDER/KEY-ID, a key ID, or its provider when the key ID follows')
    .argument('[key-id]', 'its key ID')
    .action((first: string, second: string | undefined) =>
      cli.showAnswer(
        async (client) => {
          const { provider, keyId } = await namedKey(client, first, second)
          return client.restoreKey(provider, keyId)
        },
        (order) => line(`key ${order.provider}/${order.keyId} stays: what ${order.user} ordered was taken back`),
      ),
    )
  keys
    .command('orders')
    .description('list the keys that are going to be revoked or destroyed: when, by whom, and why it is not done yet')
    .option('--all', 'those that are done, were taken back or refused, too')
    .action(({ all }: { readonly all?: boolean }) =>
      cli.showAnswer(
        async (client) => (await client.keyOrders(all === true ? { all } : {})).orders,
        (orders) => orderTable(orders),
      ),
    )
}

function addDestroy(keys: CliCommand, cli: Cli): void {
  keys
    .command('destroy')
    .description(
      'have a key destroyed at its provider after a waiting time, in which «keys restore» takes that back; refused while a VM, disk or host uses it',
    )
    .argument('[key]', 'PROVIDER/KEY-ID, a key ID, or its provider when the key ID follows')
    .argument('[key-id]', 'its key ID')
    .option(
      '--after <time>',
      'how long it can be taken back, such as 7d, 12h or 0 (default: the setting, 7d)',
      waitingTime,
    )
    .option('--force', 'although something uses it: asks a second user, who is shown what dies')
    .option('--reason <text>', 'why; kept with the order and shown to whoever approves it')
    .option('--retired', 'instead of one key, all that wrap nothing any more and are --older-than')
    .option('--older-than <days>', 'with --retired: since at least so many days', wholeNumber(0, 36_500))
    .option('--provider <name>', 'with --retired: of this provider only')
    .examples(
      'keys destroy kms/0198f2c4-…',
      'keys destroy kms/0198f2c4-… --after 30d --reason "backups of it are gone"',
      'keys destroy --retired --older-than 90',
      'keys destroy kms/0198f2c4-… --force   (then another user: approval list, approval approve)',
    )
    .section('Before you do', [
      'A retired key wraps nothing here, and backups of disks from before their rekey need it: they are lost with it.',
      'What the key server keeps in its own backups is not destroyed.',
    ])
    .action(async (first: string | undefined, second: string | undefined, options: DestroyOptions) => {
      const { after, force, reason, retired, olderThan, provider } = options
      const common = {
        ...(after === undefined ? {} : { afterSeconds: after }),
        ...(reason === undefined ? {} : { reason }),
      }
      if (retired === true) {
        if (first !== undefined || force === true)
          throw wrong('--retired', 'stands for itself: give neither a key nor --force')
        if (olderThan === undefined)
          throw wrong('--older-than', 'is missing: say for how many days they have to be retired')
        const body = { olderThanDays: olderThan, ...(provider === undefined ? {} : { provider }), ...common }
        const outcome = await cli.withClient((client) => client.destroyRetiredKeys(body))
        cli.show(outcome, ({ orders, skipped }) =>
          [
            line(`${orders.length} retired ${orders.length === 1 ? 'key is' : 'keys are'} going to be destroyed`),
            ...(orders.length === 0 ? [] : [orderTable(orders)]),
            ...skipped.map(({ provider: of, keyId, why }) => line(`left alone: ${of}/${keyId}: ${why}`)),
          ].join(''),
        )
        return
      }
      if (olderThan !== undefined || provider !== undefined)
        throw wrong(olderThan === undefined ? '--provider' : '--older-than', 'needs --retired')
      if (first === undefined) throw wrong('key', 'is missing: name one, or give --retired')
      const requested = await cli.withClient(async (client) => {
        const key = await namedKey(client, first, second)
        return client.destroyKey(key.provider, key.keyId, { ...common, ...(force === true ? { force } : {}) })
      })
      showRequested(cli, requested)
    })
}

function showRequested(cli: Cli, requested: KeyRequested): void {
  const { order, approval } = requested
  cli.show(
    requested,
    () => (approval === null ? '' : approvalSheet(approval, cli.paint)) + (order === null ? '' : orderText(order)),
  )
  if (approval !== null) {
    cli.hint(`nothing happened yet: another user with Cryptographer.ManageKeys has to approve it:`)
    for (const command of approvalSteps(approval)) cli.hint(`  ${command}`)
  }
  if (order?.state === 'scheduled') cli.hint(`take it back: cryptvisor keys restore ${order.provider}/${order.keyId}`)
}

function orderText({ provider, keyId, action, state, dueAt, problem }: KeyOrder): string {
  const done = action === 'revoke' ? 'revoked' : 'destroyed'
  switch (state) {
    case 'done':
      return line(`key ${provider}/${keyId} was ${done}`)
    case 'scheduled':
      return line(`key ${provider}/${keyId} is going to be ${done} at ${formatTime(dueAt)}`)
    case 'at-work':
      return line(
        `key ${provider}/${keyId} is being ${done}: ${problem ?? 'its provider is asked'}; it is tried again until it works`,
      )
    case 'restored':
    case 'refused':
      return line(`key ${provider}/${keyId} was not ${done}: ${problem ?? 'it was taken back'}`)
  }
}

function orderTable(orders: readonly KeyOrder[]): string {
  return table(
    ['KEY', 'ACTION', 'STATE', 'DUE', 'BY', 'APPROVED BY', 'REASON', 'PROBLEM'],
    orders.map((order) => [
      `${order.provider}/${order.keyId}`,
      order.action,
      order.state,
      formatTime(order.dueAt),
      order.user,
      order.approvedBy,
      order.reason,
      order.problem,
    ]),
  )
}

function wrong(option: string, text: string): CliError {
  return new CliError('usage', `${option}: ${text}`, { field: option, next: 'see cryptvisor keys destroy --help' })
}
