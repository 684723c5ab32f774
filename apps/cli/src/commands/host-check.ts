import type { RebootCheckList } from '@cryptvisor/control-plane-api'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { table } from '../table.ts'

/** `host check-reboot`. */
export function addHostCheck(host: CliCommand, cli: Cli): void {
  host
    .command('check-reboot')
    .description(
      'say whether a host, or every host of a cluster, can be restarted now: each key that it would have to be given again is asked for once. The exit code is 0 only when all of them can be had',
    )
    .argument('[host]', 'its name or ID')
    .option('--cluster <name>', 'every host of this cluster')
    .examples('host check-reboot host-a && ssh host-a reboot', 'host check-reboot --cluster production --json')
    .action(async (name: string | undefined, { cluster }: { readonly cluster?: string }) => {
      if ((name === undefined) === (cluster === undefined)) {
        throw new CliError('usage', 'name a host, or give --cluster', {
          next: 'see cryptvisor host check-reboot --help',
        })
      }
      const checked = await cli.withClient((client) =>
        name === undefined ? client.checkClusterReboot(cluster ?? '') : client.checkReboot(name),
      )
      cli.show(checked, (list) => checkText(list, cli))
      const bad = checked.checks.filter(({ verdict }) => verdict !== 'safe')
      if (bad.length === 0) return
      const what = bad.map((each) => `${each.host}: ${each.text}`).join('; ')
      throw new CliError('check-failed', `do not restart now: ${what}`, {
        next: 'mend the key server first (key-provider status, keys health --bad), or move or rekey the VMs',
      })
    })
}

function checkText({ checks }: RebootCheckList, { paint }: Cli): string {
  const head = table(
    ['HOST', 'VERDICT', 'KEYS', 'ENCRYPTED VMS', 'WOULD STAY LOCKED'],
    checks.map((each) => [
      each.host,
      paint(each.verdict === 'safe' ? 'green' : each.verdict === 'degraded' ? 'yellow' : 'red', each.verdict),
      `${each.obtainableCount} of ${each.neededCount}`,
      each.vmCount,
      each.wouldLock.length,
    ]),
  )
  const details = checks.flatMap(({ host, wouldLock, missing, warnings }) => [
    ...wouldLock.map(({ vm, reason }) => [host, `VM ${vm} would stay locked`, reason]),
    ...missing.map(({ provider, keyId, state, text }) => [host, `key ${keyId} of ${provider}: ${state}`, text]),
    ...warnings.map((warning) => [host, 'note', warning]),
  ])
  return details.length === 0 ? head : `${head}\n${table(['HOST', 'WHAT', 'WHY'], details)}`
}
