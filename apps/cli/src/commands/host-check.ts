import type { RebootCheck, RebootCheckList } from '@cryptvisor/control-plane-api'
import type { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { formatTime } from '../quantity.ts'
import { table } from '../table.ts'

/** The worst one first. */
const verdicts = ['unsafe', 'degraded', 'safe'] as const

/** `host check-reboot`. */
export function addHostCheck(host: CliCommand, cli: Cli): void {
  host
    .command('check-reboot')
    .description(
      'say whether a host, every host of a cluster, or without either every host can be restarted now: each key that it would have to be given again is asked for once; and which VMs that run there would end. The exit code is 0 only when all of them can be had',
    )
    .argument('[host]', 'its name or ID')
    .option('--cluster <name>', 'every host of this cluster')
    .examples(
      'host check-reboot host-a && ssh host-a reboot',
      'host check-reboot --cluster production --json',
      'host check-reboot',
    )
    .action(async (name: string | undefined, { cluster }: { readonly cluster?: string }) => {
      if (name !== undefined && cluster !== undefined) {
        throw new CliError('usage', '--cluster: a host is named already', {
          field: '--cluster',
          next: `leave it out: cryptvisor host check-reboot ${name}`,
        })
      }
      const checked = await cli.withClient((client) => {
        if (name !== undefined) return client.checkReboot(name)
        return cluster === undefined ? checkAll(client) : client.checkClusterReboot(cluster)
      })
      cli.show(checked, (list) => checkText(list, cli))
      const bad = checked.checks.filter(({ verdict }) => verdict !== 'safe')
      if (bad.length === 0) return
      const what = bad.map((each) => `${each.host}: ${each.text}`).join('; ')
      throw new CliError('check-failed', `do not restart now: ${what}`, {
        next: 'mend the key server first (key-provider status, keys health --bad), or move or rekey the VMs',
      })
    })
}

/** Every host of every cluster that one may see. */
async function checkAll(client: ControlPlaneClient): Promise<RebootCheckList> {
  const checks: RebootCheck[] = []
  for (const { name, hosts } of (await client.clusters()).clusters) {
    if (hosts.length > 0) checks.push(...(await client.checkClusterReboot(name)).checks)
  }
  const verdict = verdicts.find((each) => checks.some((check) => check.verdict === each)) ?? null
  return { checks, verdict }
}

/** How many hosts have which verdict, in one line. */
function summaryText({ checks }: RebootCheckList): string {
  if (checks.length === 0) return 'there are no hosts\n'
  if (checks.length === 1) return ''
  const counts = verdicts.toReversed().flatMap((verdict) => {
    const count = checks.filter((check) => check.verdict === verdict).length
    return count === 0 ? [] : [`${count} ${verdict}`]
  })
  return `\n${checks.length} hosts: ${counts.join(', ')}\n`
}

function checkText(list: RebootCheckList, { paint }: Cli): string {
  const { checks } = list
  const head = table(
    ['HOST', 'VERDICT', 'KEYS', 'ENCRYPTED VMS', 'WOULD STAY LOCKED', 'RUNNING'],
    checks.map((each) => [
      each.host,
      paint(each.verdict === 'safe' ? 'green' : each.verdict === 'degraded' ? 'yellow' : 'red', each.verdict),
      `${each.obtainableCount} of ${each.neededCount}`,
      each.vmCount,
      each.wouldLock.length,
      each.running.length,
    ]),
  )
  const details = checks.flatMap(({ host, wouldLock, running, missing, kept, warnings }) => [
    ...wouldLock.map(({ vm, reason }) => [host, `VM ${vm} would stay locked`, reason]),
    ...running.map((vm) => [host, `VM ${vm} would end`, 'it runs there, or may: «vm shut-down», or «vm migrate» then']),
    ...missing.map(({ provider, keyId, state, text }) => [host, `key ${keyId} of ${provider}: ${state}`, text]),
    ...(kept === null
      ? []
      : [
          [
            host,
            'keeps keys',
            `${kept.keyCount} ${kept.keyCount === 1 ? 'key' : 'keys'} in its TPM until ${formatTime(kept.until)}`,
          ],
        ]),
    ...warnings.map((warning) => [host, 'note', warning]),
  ])
  const all = details.length === 0 ? head : `${head}\n${table(['HOST', 'WHAT', 'WHY'], details)}`
  return `${all}${summaryText(list)}`
}
