import type { Host } from '@cryptvisor/control-plane-api'
import type { HostKeyGapRow } from '../database/host-rows.ts'
import type { HostRow } from '../database/schema.ts'
import { timeText } from './clock.ts'

type Crypto = Pick<Host, 'cryptoState' | 'cryptoReason' | 'keyGap'>

/** How a host stands as to keys: its state, why that is not a good one, and what it lacks. */
export function hostCrypto(row: HostRow, gap: HostKeyGapRow | null, isConnected: boolean): Crypto {
  const cryptoState = stateOf(row, gap)
  const keyGap =
    gap === null || row.crypto_off_at !== null
      ? null
      : { neededCount: gap.needed_count, missingCount: gap.missing_count, since: timeText(gap.since) }
  return { cryptoState, cryptoReason: reasonOf(row, gap, isConnected), keyGap }
}

/** `safe` is a host that holds its host key; one that was to be given it again, and was not, is `prepared`. */
function stateOf(row: HostRow, gap: HostKeyGapRow | null): Host['cryptoState'] {
  if (row.crypto_off_at !== null) return row.crypto_off_boot_id === null ? 'incapable' : 'pendingIncapable'
  if (row.crypto_supported === 0) return 'incapable'
  return row.host_key_id === null || gap?.lacks_host_key === 1 ? 'prepared' : 'safe'
}

/** What is wrong, and what to do; `null`: it holds all that it needs. */
function reasonOf(row: HostRow, gap: HostKeyGapRow | null, isConnected: boolean): string | null {
  const { name } = row
  if (row.decommissioned_at !== null) {
    return `it was decommissioned: to use it again, «host enroll ${name} --cluster CLUSTER», and «host-agent enroll --again» on it`
  }
  if (row.crypto_off_at !== null) {
    return row.crypto_off_boot_id === null
      ? `encryption was disabled on it: «host crypto enable ${name}» makes it crypto-safe`
      : 'encryption was disabled on it, and it did not confirm that it forgot its keys: start its agent anew'
  }
  if (row.crypto_supported === 0) {
    return 'its agent takes no keys: set «crypto» to «supported» in the config.json of its agent, and start the agent anew'
  }
  if (!isConnected) {
    return row.host_key_id === null
      ? 'it is not connected, and has no host key: start its agent'
      : 'it is not connected, so nobody knows whether it holds its keys: start its agent; it is given them then'
  }
  if (gap !== null) return gap.text
  if (row.host_key_id === null) {
    return `it has no host key yet: the first encryption makes one where its user has Cryptographer.RegisterHost; «host crypto enable ${name}» does it now`
  }
  return null
}
