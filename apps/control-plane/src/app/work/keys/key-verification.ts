import type { UsedKeyHealth } from '@cryptvisor/control-plane-api'
import type { KeyReference } from '@cryptvisor/host-agent-api'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { keyText } from '../../key-reference.ts'
import { pause } from '../../pause.ts'
import type { WorkContext } from '../context.ts'
import { inParallel } from '../in-parallel.ts'
import type { FoundKeyState } from '../policies/key-revocations.ts'
import { allKeyHealth, type Finding, isKnownBad, keepFinding, keyHealth, unchecked } from './key-health.ts'
import { lookAtKey } from './key-look.ts'
import { Outages } from './outages.ts'
import { type UsedKey, usedKeys, usersText } from './used-keys.ts'

/** How often every KEK in use is read back. */
export interface VerificationSettings {
  /** Each is read back once in this time, spread over it. */
  readonly everyMs: number
  /** How many at once. */
  readonly atOnceMax: number
}

export const defaultVerification: VerificationSettings = { everyMs: 6 * 3_600_000, atOnceMax: 4 }

/** What is found of keys that were given up goes on to whoever decides what that means for VMs. */
export type TellFinding = (key: KeyReference, state: Finding['state']) => Promise<void>

/** The provider's own word for a finding, as far as it is one; `null`: it says nothing about the key's state. */
export function foundStateOf(state: Finding['state']): FoundKeyState | null {
  switch (state) {
    case 'good':
    case 'mismatch':
      return 'Active'
    case 'inactive':
      return 'PreActive'
    case 'revoked':
      return 'Deactivated'
    case 'compromised':
      return 'Compromised'
    case 'destroyed':
      return 'Destroyed'
    case 'missing':
      return 'missing'
    case 'unusable':
    case 'refused':
    case 'unreachable':
      return null
  }
}

/** A key that is not as it should be is looked at again so soon. */
const badAgainMs = 300_000

/** Between two rounds, at most; each takes its part of the keys. */
const roundMsMax = 60_000
const roundsMin = 60
/** A round takes so many at least, so that few keys are not stretched over the whole time. */
const perRoundMin = 4

/**
 * Reads every KEK in use back from its provider, again and again, so that one which is gone, was revoked or is another one is
 * known before the next restart of a host needs it.
 */
export class KeyVerification {
  readonly #work: WorkContext
  readonly #settings: VerificationSettings
  readonly #tell: TellFinding
  readonly #random: () => number
  readonly #outages = new Outages()
  #background: Promise<void> | null = null

  constructor(work: WorkContext, settings: VerificationSettings, tell: TellFinding, random: () => number) {
    this.#work = work
    this.#settings = settings
    this.#tell = tell
    this.#random = random
  }

  /** From now on keys are read back by themselves. */
  start(): void {
    this.#background ??= this.#keepLooking()
  }

  /** Resolves when nothing goes on in the background any more. */
  async stopped(): Promise<void> {
    await this.#background
  }

  /** All KEKs in use with what is known of them; `bad`: only those that were looked at and are not good. */
  async list({
    provider,
    bad,
  }: {
    provider?: string | undefined
    bad?: boolean | undefined
  }): Promise<UsedKeyHealth[]> {
    const health = await allKeyHealth(this.#work.database)
    return [...(await usedKeys(this.#work.database, provider))]
      .map(([name, { key, vms, host }]) => ({ ...(health.get(name) ?? unchecked(key)), vms: [...vms], host }))
      .filter(({ state }) => bad !== true || (state !== 'good' && state !== 'unchecked'))
      .toSorted((a, b) => (keyText(a) < keyText(b) ? -1 : 1))
  }

  /** Looks at one KEK now. Throws `not-found` for one that nothing uses. */
  async verify(key: KeyReference): Promise<UsedKeyHealth> {
    const used = (await usedKeys(this.#work.database, key.provider)).get(keyText(key))
    if (used === undefined) {
      throw new ControlPlaneError(
        'not-found',
        `keyId: nothing uses the key ${key.keyId} of provider ${key.provider}, so it is not verified: «keys list» shows what is there`,
        { field: 'keyId' },
      )
    }
    await this.#keep(used, await lookAtKey(this.#work, used))
    return { ...(await keyHealth(this.#work.database, key)), vms: [...used.vms], host: used.host }
  }

  /** Looks at all KEKs in use, or those of one provider. A provider that does not answer is not asked for each of its keys. */
  async verifyAll(
    provider: string | undefined,
    cancelled: AbortSignal,
    progress: (doneCount: number, totalCount: number) => void,
  ): Promise<void> {
    const all = [...(await usedKeys(this.#work.database, provider)).values()]
    await this.#lookAt(all, cancelled, progress)
  }

  /** Looks at these KEKs now, each once, and says what was found by `keyText`; a provider that does not answer is asked once. */
  async lookAtKeys(keys: readonly KeyReference[]): Promise<ReadonlyMap<string, Finding>> {
    const used = await usedKeys(this.#work.database)
    const wanted = keys.flatMap((key) => used.get(keyText(key)) ?? [])
    return this.#lookAt(wanted, this.#work.stopping, () => undefined)
  }

  async #keepLooking(): Promise<void> {
    const { stopping, log } = this.#work
    const roundMs = Math.min(roundMsMax, this.#settings.everyMs / roundsMin)
    while (!stopping.aborted) {
      try {
        await pause(roundMs * (0.5 + this.#random()), stopping)
        await this.#round(roundMs)
      } catch (error) {
        if (!stopping.aborted) log.error({ err: error }, 'keys could not be verified')
      }
    }
  }

  /** Those that were looked at longest ago, as many as come to all of them in time. */
  async #round(roundMs: number): Promise<void> {
    const { database, clock, stopping } = this.#work
    const { everyMs } = this.#settings
    const used = await usedKeys(database)
    const rows = await database.selectFrom('key_health').select(['provider', 'key_id', 'state', 'checked_at']).execute()
    const known = new Map(rows.map((row) => [keyText({ provider: row.provider, keyId: row.key_id }), row]))
    const now = clock()
    const due = [...used]
      .map(([name, key]) => ({ key, row: known.get(name) }))
      .filter(({ row }) => {
        if (row === undefined) return true
        return now - row.checked_at >= (row.state === 'good' ? everyMs * 0.9 : Math.min(everyMs, badAgainMs))
      })
      .toSorted((a, b) => (a.row?.checked_at ?? 0) - (b.row?.checked_at ?? 0))
    const count = Math.max(perRoundMin, Math.ceil((used.size * roundMs * 2) / everyMs))
    await this.#lookAt(
      due.slice(0, count).map(({ key }) => key),
      stopping,
      () => undefined,
    )
    await this.#forgetUnused(known, used)
  }

  /** What is known of a key that nothing uses any more is of no use. */
  async #forgetUnused(
    known: ReadonlyMap<string, { readonly provider: string; readonly key_id: string }>,
    used: ReadonlyMap<string, UsedKey>,
  ): Promise<void> {
    for (const [name, { provider, key_id }] of known) {
      if (used.has(name)) continue
      await this.#work.database
        .deleteFrom('key_health')
        .where('provider', '=', provider)
        .where('key_id', '=', key_id)
        .execute()
    }
  }

  async #lookAt(
    keys: readonly UsedKey[],
    cancelled: AbortSignal,
    progress: (doneCount: number, totalCount: number) => void,
  ): Promise<ReadonlyMap<string, Finding>> {
    const findings = new Map<string, Finding>()
    const unreachable = new Map<string, Finding>()
    let doneCount = 0
    await inParallel(keys, this.#settings.atOnceMax, async (used) => {
      if (cancelled.aborted || this.#work.stopping.aborted) return
      const { provider } = used.key
      const finding = unreachable.get(provider) ?? (await lookAtKey(this.#work, used))
      if (finding.state === 'unreachable') unreachable.set(provider, finding)
      findings.set(keyText(used.key), finding)
      await this.#keep(used, finding)
      progress(++doneCount, keys.length)
    })
    this.#work.stopping.throwIfAborted()
    return findings
  }

  /** Keeps a finding, and tells of what is new. */
  async #keep(used: UsedKey, finding: Finding): Promise<void> {
    const { events, clock } = this.#work
    const { key } = used
    const named = { ...key, host: used.host, vm: used.vms[0] ?? null }
    await events.transaction(async (transaction, record) => {
      const before = await keepFinding(transaction, key, finding, clock())
      const wasBad = before !== null && isKnownBad(before.state)
      if (isKnownBad(finding.state) && !(wasBad && before?.state === finding.state)) {
        const text = `Key ${key.keyId} of provider ${key.provider}, which ${usersText(used)} needs, is not as it should be: ${finding.text}. Hosts hold it still; after the next restart of a host ${consequence(used)}`
        await record({ type: 'kms.crypto.key-unavailable', ...named, text })
      } else if (finding.state === 'good' && wasBad) {
        const text = `Key ${key.keyId} of provider ${key.provider}, which ${usersText(used)} needs, can be had again`
        await record({ type: 'kms.crypto.key-available', ...named, text })
      }
      if (finding.state === 'unreachable' && this.#outages.begins(key.provider)) {
        const text = `Key provider ${key.provider} cannot be reached, so that its keys could not be read back: ${finding.text}. A host that restarts now stays without them: see «key-provider status», and «host check-reboot» before a restart`
        await record({ type: 'kms.crypto.connection-error', provider: key.provider, text })
      }
    })
    if (finding.state !== 'unreachable') this.#outages.ended(key.provider)
    await this.#tell(key, finding.state)
  }
}

function consequence({ vms, host }: UsedKey): string {
  if (host !== null) return `${host} has no host key: give it another one («host rekey ${host}»)`
  if (vms.length === 0) return 'those disks cannot be attached again'
  return `${vms.length === 1 ? 'that VM stays' : 'those VMs stay'} locked. Mend it before, or rekey now, while hosts hold it: «vm rekey»`
}
