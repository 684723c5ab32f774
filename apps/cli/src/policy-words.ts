import type { StoragePolicy } from '@cryptvisor/control-plane-api'
import { formatTime } from './quantity.ts'
import { type Cell, sheet, table } from './table.ts'

/** Storage policies, one a line. */
export function policyTable(policies: readonly StoragePolicy[]): string {
  return table(
    ['NAME', 'ENCRYPTS', 'KEY PROVIDER', 'ROTATE AFTER', 'ON REVOCATION', 'VERSION', 'VMS', 'DISKS', 'DESCRIPTION'],
    policies.map((policy) => [
      policy.name,
      policy.encryption ? 'yes' : 'no',
      providerCell(policy),
      rotationCell(policy),
      revocationCell(policy),
      policy.version,
      policy.usedBy.homes,
      policy.usedBy.disks,
      policy.description,
    ]),
  )
}

/** One storage policy in full. */
export function policySheet(policy: StoragePolicy): string {
  return sheet([
    ['name', policy.name],
    ['ID', policy.id],
    ['description', policy.description],
    ['version', policy.version],
    ['always there', policy.system ? 'yes: clone it to have another' : 'no'],
    ['encrypts', policy.encryption ? 'yes' : 'no'],
    ['key provider', providerCell(policy)],
    ['thin', policy.encryption ? (policy.thin ? 'yes' : 'no') : null],
    ['verify', policy.encryption ? (policy.verify ? 'always' : 'unless a request does without') : null],
    ['rotate after', rotationCell(policy)],
    ['on revocation', revocationCell(policy)],
    ['hardened', policy.hardened ? 'yes: kept, without effect before VMs run' : 'no'],
    ['used by', `${count(policy.usedBy.homes, 'VM Home')}, ${count(policy.usedBy.disks, 'disk')}`],
    ['changed', policy.changedAt === null ? null : `${formatTime(policy.changedAt)} by ${policy.changedBy}`],
  ])
}

function providerCell({ encryption, keyProvider }: StoragePolicy): Cell {
  return encryption ? (keyProvider ?? 'default') : null
}

function rotationCell({ encryption, rotationDays }: StoragePolicy): Cell {
  if (!encryption) return null
  return rotationDays === null ? 'never' : count(rotationDays, 'day')
}

function revocationCell({ encryption, onRevocation, graceMinutes }: StoragePolicy): Cell {
  if (!encryption) return null
  return graceMinutes === null ? onRevocation : `${onRevocation} of ${count(graceMinutes, 'minute')}`
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}
