import type { RebootCheck, RebootCheckList } from '@cryptvisor/control-plane-api'
import type { KeyReference } from '@cryptvisor/host-agent-api'
import type { HostRow } from '../../../database/schema.ts'
import { timeText } from '../../clock.ts'
import { distinctKeys, keyReference, keyText } from '../../key-reference.ts'
import { serversOf } from '../../provider-view.ts'
import type { WorkContext } from '../context.ts'
import type { Finding } from '../keys/key-health.ts'
import { keysForHost } from '../keys/key-rows.ts'
import type { KeyVerification } from '../keys/key-verification.ts'
import { runningOn } from '../machines/machine-store.ts'
import { authorityOf, keysOf, readVms } from '../vms/vm-store.ts'
import { type KeptNow, keptNow } from './kept-now.ts'

/**
 * Says whether hosts can be restarted now: each key that one of them would have to be given is asked for once, and then it is
 * known which VMs would stay locked.
 */
export async function checkReboot(
  work: WorkContext,
  verification: KeyVerification,
  hosts: readonly HostRow[],
): Promise<RebootCheckList> {
  const needs = new Map<string, readonly KeyReference[]>()
  for (const host of hosts) {
    const needed = await keysForHost(work.database, host.id, host.cluster_id)
    needs.set(
      host.id,
      needed.map(({ key }) => key),
    )
  }
  const found = await verification.lookAtKeys(distinctKeys([...needs.values()].flat()))
  const checks: RebootCheck[] = []
  for (const host of hosts) {
    const kept = await keptNow(work, host.id)
    checks.push(await checkOf(work, host, needs.get(host.id) ?? [], found, kept))
  }
  return { checks, verdict: worstOf(checks) }
}

async function checkOf(
  work: WorkContext,
  host: HostRow,
  needed: readonly KeyReference[],
  found: ReadonlyMap<string, Finding>,
  kept: KeptNow | null,
): Promise<RebootCheck> {
  const missing = needed.flatMap((key) => {
    const finding = found.get(keyText(key))
    return finding === undefined || isObtainable(finding) ? [] : [{ ...key, state: finding.state, text: finding.text }]
  })
  // What it keeps itself it need not be given.
  const lacking = new Map(missing.filter((key) => !kept?.keys.has(keyText(key))).map((each) => [keyText(each), each]))
  const vms = (await readVms(work.database, { hostId: host.id })).filter((vm) => keysOf(authorityOf(vm)).length > 0)
  const wouldLock = vms.flatMap((vm) => {
    const why = keysOf(authorityOf(vm)).flatMap((key) => lacking.get(keyText(key)) ?? [])
    const [first] = why
    if (first !== undefined) {
      return [{ vm: vm.row.name, reason: `key ${first.keyId} of provider ${first.provider}: ${first.text}` }]
    }
    return vm.row.lock_state === 'locked' ? [{ vm: vm.row.name, reason: `locked already: ${vm.row.lock_text}` }] : []
  })
  const hostKey = keyReference(host.host_key_provider, host.host_key_id)
  const losesHostKey = hostKey !== null && lacking.has(keyText(hostKey))
  const verdict = wouldLock.length > 0 || losesHostKey ? 'unsafe' : missing.length > 0 ? 'degraded' : 'safe'
  const obtainableCount = needed.length - missing.length
  const counts = `${obtainableCount} of the ${needed.length} keys that it needs can be had now`
  const running = await runningOn(work.database, host.id)
  const ends =
    running.length === 0
      ? ''
      : `; ${running.length === 1 ? 'a VM that runs' : `${running.length} VMs that run`} there would end`
  const consequence = losesHostKey ? 'it would not be crypto-safe' : `${wouldLock.length} of its VMs would stay locked`
  return {
    host: host.name,
    verdict,
    neededCount: needed.length,
    obtainableCount,
    vmCount: vms.length,
    wouldLock,
    running,
    missing,
    warnings: await warningsOf(work, host),
    kept: kept === null ? null : { keyCount: kept.keys.size, until: timeText(kept.untilMs) },
    text: `${verdict === 'unsafe' ? `${counts}: ${consequence}` : counts}${keptTextOf(kept)}${ends}`,
  }
}

const keptTextOf = (kept: KeptNow | null) =>
  kept === null
    ? ''
    : `; it keeps ${kept.keys.size} ${kept.keys.size === 1 ? 'key' : 'keys'} in its TPM until ${timeText(kept.untilMs)}`

/** A key that was revoked may be given out still. */
const isObtainable = ({ state, givenOut }: Finding) => state === 'good' || givenOut === true

/** What can be known of services that would go down with the host, by the addresses at which they answer. */
async function warningsOf(work: WorkContext, host: HostRow): Promise<string[]> {
  const warnings: string[] = []
  if (work.hostConnections.get(host.id) === null) {
    warnings.push('it is not connected: nobody can tell what runs there, and it gets keys only when it connects')
  }
  const address = new URL(host.url).hostname
  if (isLoopback(address)) return warnings
  const providers = await work.database.selectFrom('key_provider').select(['name', 'servers']).orderBy('name').execute()
  for (const provider of providers) {
    const servers = serversOf(provider)
    const there = servers.filter((server) => server.host === address)
    if (there.length === 0) continue
    const left = servers.length - there.length
    warnings.push(
      `a key server of provider ${provider.name} answers at the host's own address ${address}: it goes down with the host${left === 0 ? ', and there is no other one' : `, ${left} other ${left === 1 ? 'one stays' : 'ones stay'}`}`,
    )
  }
  return warnings
}

/** Everything of a lab is there. */
const isLoopback = (address: string) => address === 'localhost' || address === '[::1]' || address.startsWith('127.')

function worstOf(checks: readonly RebootCheck[]): RebootCheckList['verdict'] {
  for (const verdict of ['unsafe', 'degraded', 'safe'] as const) {
    if (checks.some((check) => check.verdict === verdict)) return verdict
  }
  return null
}
