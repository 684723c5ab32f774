import type { Secret } from '@cryptvisor/secret'
import { CryptoError } from './crypto-error.ts'
import type { DataUnitCipher, DataUnitSizeBytes, XtsCore } from './data-unit.ts'
import { DataUnitMemory } from './data-unit-memory.ts'
import { agree } from './self-test.ts'
import { XtsBatch } from './xts-batch.ts'
import { xtsKeyOf } from './xts-key.ts'
import { XtsUnits } from './xts-units.ts'

/** What a cipher made by `createXts` is to be. */
export interface XtsOptions {
  /** None means 512. */
  readonly unitSizeBytes?: DataUnitSizeBytes
  /** Where the cipher works without copying; it has to outlive the cipher. None means scratch memory of its own. */
  readonly memory?: DataUnitMemory
  /** The core to begin with; none means `xts` with OpenSSL 3.5 or later, else `ecb`. */
  readonly core?: XtsCore
}

/**
 * AES-XTS over data units with plain64 tweaks; the key has 64 bytes (AES-256) or 32 (AES-128). Before a core is used it
 * must agree with OpenSSL's own XTS under this very key, else the next one does the work: `xts`, `ecb`, `units`. The caller
 * keeps `key`; dispose of the cipher when done. Throws a CryptoError for an unfit key or unit size, and `disposed`
 * for such a memory.
 */
export function createXts(key: Secret, options: XtsOptions = {}): DataUnitCipher {
  const { unitSizeBytes = 512, memory, core = fastestCore(process.versions.openssl) } = options
  if (![512, 1024, 2048, 4096].includes(unitSizeBytes)) {
    throw new CryptoError('data-size', `unitSizeBytes is ${unitSizeBytes}, expected 512, 1024, 2048 or 4096`)
  }
  memory?.workspace.check()
  const xtsKey = xtsKeyOf(key)
  const reference = new XtsUnits(xtsKey, unitSizeBytes)
  const batch = (core: 'xts' | 'ecb') => () => {
    const { workspace } = memory ?? new DataUnitMemory({ count: 0 })
    return new XtsBatch(xtsKey, { unitSizeBytes, core, workspace })
  }
  const candidates = { xts: [batch('xts'), batch('ecb')], ecb: [batch('ecb')], units: [] }
  return firstProven(candidates[core], reference)
}

/** OpenSSL's XTS uses VAES since 3.5; before, and on processors without VAES, its ECB is a little faster. */
export function fastestCore(opensslVersion: string | undefined): 'xts' | 'ecb' {
  const [major = 0, minor = 0] = (opensslVersion ?? '').split('.').map(Number)
  return major > 3 || (major === 3 && minor >= 5) ? 'xts' : 'ecb'
}

/** The first candidate that does what the reference does, else the reference. All others are disposed of. */
export function firstProven(candidates: readonly (() => DataUnitCipher)[], reference: DataUnitCipher): DataUnitCipher {
  for (const create of candidates) {
    const candidate = attempt(create, reference)
    if (candidate === null) continue
    reference[Symbol.dispose]()
    return candidate
  }
  return reference
}

/** Null when the candidate cannot be made, fails or differs. */
function attempt(create: () => DataUnitCipher, reference: DataUnitCipher): DataUnitCipher | null {
  let candidate: DataUnitCipher | null = null
  try {
    candidate = create()
    if (agree(candidate, reference)) return candidate
  } catch {
    // Whatever went wrong, the next one may do; the reference needs nothing but OpenSSL.
  }
  candidate?.[Symbol.dispose]()
  return null
}
