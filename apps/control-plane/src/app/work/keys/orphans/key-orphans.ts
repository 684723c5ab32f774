import type { KeyOrphan, KeyOrphanList } from '@cryptvisor/control-plane-api'
import { type KeyDescription, listLimitMax } from '@cryptvisor/key-provider'
import type { KeyRow } from '../../../../database/schema.ts'
import { timeText } from '../../../clock.ts'
import { ControlPlaneError } from '../../../control-plane-error.ts'
import { Sight } from '../../../permissions/sight.ts'
import type { Principal } from '../../../ports.ts'
import type { WorkContext } from '../../context.ts'
import { inParallel } from '../../in-parallel.ts'
import { findProvider } from '../../vms/lookup.ts'
import type { Kms, Purpose } from '../kms.ts'
import { isGone } from '../provider-destroy.ts'
import { keyUsers, usersByKey } from '../usage/key-usage.ts'
import { initialDateOf, labelsOf } from './labels.ts'

const dayMs = 86_400_000

/** The most keys of one provider that are looked through. */
const keysMax = 1_000_000

/** How many keys are asked for one by one at once, of those that the provider did not list. */
const describeConcurrencyMax = 8

/** Finds keys that provider and database do not agree about. */
export class KeyOrphans {
  readonly #work: WorkContext
  readonly #kms: Kms

  constructor(work: WorkContext, kms: Kms) {
    this.#work = work
    this.#kms = kms
  }

  /** Of one provider, or of all. One that cannot be asked is named among the failures. Throws `not-found`. */
  async find(providerName: string | undefined, by: Principal): Promise<KeyOrphanList> {
    const { database } = this.#work
    const names =
      providerName === undefined
        ? (await database.selectFrom('key_provider').select('name').orderBy('name').execute()).map(({ name }) => name)
        : [await findProvider(database, providerName, 'provider')]
    const answer: KeyOrphanList = { orphans: [], failures: [] }
    const sight = await Sight.of(database, by)
    for (const provider of names) {
      try {
        const found = await this.#of(provider, { host: null, vm: null, user: by.name, task: null })
        const unseen = 'what it is about you may not see'
        for (const orphan of found) {
          const why = sight.textOf(orphan.why, unseen)
          answer.orphans.push(why === orphan.why ? orphan : { ...orphan, why, labels: {} })
        }
      } catch (error) {
        if (!(error instanceof ControlPlaneError)) throw error
        answer.failures.push({ provider, problem: error.message })
      }
    }
    return answer
  }

  async #of(provider: string, purpose: Purpose): Promise<KeyOrphan[]> {
    // Before the database: a key that is made meanwhile is not listed, and one that was is on record by now, or nowhere.
    const found = new Map<string, KeyDescription>()
    for (let offset = 0; offset < keysMax; offset += listLimitMax) {
      const page = await this.#kms.list(provider, { offset, limit: listLimitMax }, purpose)
      for (const description of page) found.set(description.keyId, description)
      if (page.length < listLimitMax) break
    }
    const { database } = this.#work
    const rows = await database.selectFrom('key').selectAll().where('provider', '=', provider).execute()
    const known = new Map(rows.map((row) => [row.key_id, row]))
    const identifiers = await this.#identifiers()
    const orphans: KeyOrphan[] = []
    for (const description of found.values()) {
      if (isGone(description)) continue
      const orphan = classify(description, known.get(description.keyId), identifiers)
      if (orphan !== null) orphans.push(this.#view(provider, description, orphan))
    }
    return [...orphans, ...(await this.#missing(provider, found, known, purpose))]
  }

  /** Keys that something here needs and that the provider does not have. */
  async #missing(
    provider: string,
    listed: ReadonlyMap<string, KeyDescription>,
    known: ReadonlyMap<string, KeyRow>,
    purpose: Purpose,
  ): Promise<KeyOrphan[]> {
    const users = usersByKey(await keyUsers(this.#work.database, { provider }))
    const missing: KeyOrphan[] = []
    const doubtful = [...users.values()].filter((of) => isGone(listed.get(of[0]?.key.keyId ?? '') ?? null))
    // A provider may list less than it has, so each of these is asked for by itself.
    await inParallel(doubtful, describeConcurrencyMax, async (of) => {
      const [first] = of
      if (first === undefined) return
      const { keyId } = first.key
      const description = await this.#kms.describe(first.key, purpose)
      if (!isGone(description)) return
      const row = known.get(keyId)
      const names = [...new Set(of.map(({ owner }) => `${owner.kind === 'vm' ? 'VM' : owner.kind} ${owner.name}`))]
      const createdAt = row?.created_at ?? null
      missing.push({
        provider,
        keyId,
        kind: 'missing',
        state: description?.state ?? null,
        ...this.#age(createdAt),
        labels: {},
        why: `it is used by ${names.slice(0, 20).join(', ')}${names.length > 20 ? ` and ${names.length - 20} more` : ''}, and the provider does not have it: restore it there, or rekey while a host still holds it`,
        disposable: false,
      })
    })
    return missing.toSorted((one, other) => (one.keyId < other.keyId ? -1 : 1))
  }

  #view(provider: string, description: KeyDescription, orphan: Classified): KeyOrphan {
    const { keyId, state } = description
    return {
      provider,
      keyId,
      state,
      ...this.#age(orphan.createdAt ?? initialDateOf(description)),
      labels: labelsOf(description),
      kind: orphan.kind,
      why: orphan.why,
      disposable: orphan.disposable,
    }
  }

  #age(createdAt: number | null): Pick<KeyOrphan, 'createdAt' | 'ageDays'> {
    if (createdAt === null) return { createdAt: null, ageDays: null }
    return {
      createdAt: timeText(createdAt),
      ageDays: Math.max(0, Math.floor((this.#work.clock() - createdAt) / dayMs)),
    }
  }

  /** What `x-Identifier` of our own keys may be. */
  async #identifiers(): Promise<ReadonlySet<string>> {
    const { database } = this.#work
    const vms = await database.selectFrom('vm').select('id').execute()
    const hosts = await database.selectFrom('host').select('hardware_uuid').execute()
    return new Set([...vms.map(({ id }) => id), ...hosts.map(({ hardware_uuid }) => hardware_uuid)])
  }
}

type Classified = Pick<KeyOrphan, 'kind' | 'why' | 'disposable'> & { readonly createdAt: number | null }

/** What is wrong with a key that its provider has; `null`: nothing. */
function classify(
  description: KeyDescription,
  row: KeyRow | undefined,
  identifiers: ReadonlySet<string>,
): Classified | null {
  if (row !== undefined) {
    if (row.state !== 'destroyed') return null
    const why = 'it was destroyed, and its provider has it (again): perhaps the key server was restored from a backup'
    return { kind: 'returned', why, disposable: true, createdAt: row.created_at }
  }
  const labels = labelsOf(description)
  const identifier = labels['x-Identifier']
  if (identifier === undefined) {
    const labelled =
      labels['x-Product'] === undefined ? 'has no label of ours' : `is labelled by ${labels['x-Product']}`
    const why = `it ${labelled}, says nothing of what it is for, and is on record nowhere: its making was answered to nobody, or another user of the key server made it`
    return { kind: 'unanswered', why, disposable: false, createdAt: null }
  }
  const whose = `${labels['x-Component'] ?? 'something'} «${labels['x-Name'] ?? ''}» (${identifier})`
  if (identifiers.has(identifier)) {
    const why = `it says that it is for ${whose}, which is here, and is not on record: perhaps this control plane was restored from an older backup`
    return { kind: 'unrecorded', why, disposable: false, createdAt: null }
  }
  const why = `it says that it is for ${whose}, which is not here: it belongs to another control plane, or to a database that was lost`
  return { kind: 'foreign', why, disposable: false, createdAt: null }
}
