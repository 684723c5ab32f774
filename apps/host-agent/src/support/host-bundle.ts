import type { HostStatus, KeyReference, TakeSupportBundle } from '@cryptvisor/host-agent-api'
import type { Secret } from '@cryptvisor/secret'
import {
  type BundlePart,
  type BundleSubject,
  documentPart,
  hostKeyPairOf,
  type LogRing,
  Redactor,
  sealBundle,
  writeBundle,
} from '@cryptvisor/support-bundle'
import { AgentError } from '../agent-error.ts'
import type { AgentConfig } from '../config.ts'
import type { Datastores } from '../datastore/datastores.ts'
import { listDumps } from '../dumps/read-dump.ts'
import type { KeyCache } from '../key-cache.ts'
import type { Operations } from '../operation/operations.ts'
import type { SessionWatch } from '../session.ts'
import { datastoreFiles, datastoreVms } from './datastore-listing.ts'
import { placeFacts, systemFacts } from './system-facts.ts'

/** How many operations are told of. */
const operationsMax = 2000

/** Where a bundle gets what it says. */
export interface HostBundleSources {
  /** The agent's own. */
  readonly folder: string
  readonly config: AgentConfig
  readonly version: string
  readonly keys: KeyCache
  readonly datastores: Datastores
  readonly operations: Operations
  readonly session: SessionWatch
  readonly log: LogRing
  readonly status: () => Promise<HostStatus>
}

/** The files of a support bundle of this host. What is in them is chosen here; nothing is copied whole. */
export function hostBundleParts(sources: HostBundleSources, request: TakeSupportBundle): BundlePart[] {
  const { folder, config, keys, datastores, operations, session, log, status } = sources
  return [
    documentPart('host/status.json', 'the host as its agent reports it: state, versions, memory protection', status),
    documentPart('host/session.json', 'the session with the control plane', () => session),
    documentPart('host/config.json', 'the agent’s settings', () => shownConfig(config)),
    documentPart('host/system.json', 'kernel, memory, versions of tools', systemFacts),
    documentPart('host/places.json', 'room and mounts of the agent’s folder and of the datastores', () =>
      placesOf(folder, request),
    ),
    {
      name: 'host/keys.jsonl',
      about: 'the keys that the host holds, by name',
      lines: () => [{ hostKey: keys.hostKey, heldCount: keys.count }, ...keys.keys],
    },
    {
      name: 'host/operations.jsonl',
      about: 'the operations since the agent’s start, and how each stands',
      lines: () =>
        operations.recent(operationsMax).map(({ kind, status: { vm: _vm, ...rest } }) => ({ kind, ...rest })),
    },
    documentPart('host/dumps.json', 'the core dumps that lie sealed on the host, by name', () => listDumps(folder)),
    {
      name: 'host/log.jsonl',
      about: 'the agent’s log since its start, the newest of it',
      lines: function* () {
        if (log.droppedCount > 0) yield { note: `${log.droppedCount} older lines are not kept in memory` }
        yield* log.lines
      },
    },
    ...datastoreParts(datastores, request),
    ...request.files.map(({ name, about, lines }) => ({ name: `control-plane/${name}`, about, lines: () => lines })),
  ]
}

/**
 * A support bundle of this host, as it is made, sealed to the host key where that is asked for. Throws AgentError `refused`
 * where there is no host key.
 */
export function takeHostBundle(
  sources: HostBundleSources,
  request: TakeSupportBundle,
  now: number,
): AsyncIterable<Uint8Array> {
  const { config, keys } = sources
  const redactor = new Redactor()
  redactor.keep(...request.keyIds, ...keys.keys.map(({ keyId }) => keyId))
  const subject: BundleSubject = {
    kind: 'host',
    name: config.name,
    version: sources.version,
    takenBy: request.takenBy,
    takenAt: now,
  }
  const content = writeBundle(subject, hostBundleParts(sources, request), redactor)
  if (!request.sealed) return content
  const { key, publicKey } = sealingKey(keys)
  return sealBundle({ host: config.name, key, createdAt: new Date(now).toISOString() }, publicKey, content)
}

function sealingKey(keys: KeyCache): { key: KeyReference; publicKey: Uint8Array } {
  const { hostKey } = keys
  using loan = hostKey === null ? null : keys.borrow(hostKey)
  if (hostKey === null || loan === null) {
    throw new AgentError(
      'refused',
      'this host holds no host key to seal with: «host crypto enable», or seal the bundle to a password or a recipient',
    )
  }
  return { key: hostKey, publicKey: publicKeyOf(loan.kek) }
}

const publicKeyOf = (hostKey: Secret) => hostKeyPairOf(hostKey).publicKey

/** Every setting by name: one that is added later is not shown before somebody thought of it. */
function shownConfig({
  name,
  hostId,
  hardwareUuid,
  url,
  listenAddress,
  port,
  controlPlaneUrl,
  crypto,
  datastoreRoots,
  deviceRoots,
  acceleration,
  tpm,
}: AgentConfig): object {
  const roots = { datastoreRoots, deviceRoots }
  return { name, hostId, hardwareUuid, url, listenAddress, port, controlPlaneUrl, crypto, ...roots, acceleration, tpm }
}

async function placesOf(folder: string, { datastores }: TakeSupportBundle): Promise<object> {
  const failed = (path: string) => (error: unknown) => ({
    path,
    problem: error instanceof Error && 'code' in error ? String(error.code) : 'unknown error',
  })
  return {
    agent: await placeFacts(folder).catch(failed(folder)),
    datastores: await Promise.all(
      datastores.map(async ({ name, path }) => ({ name, ...(await placeFacts(path).catch(failed(path))) })),
    ),
  }
}

/**
 * Two files for each datastore. One that does not answer, as a dead NFS server, keeps a thread of four that read files: no
 * other is looked at then.
 */
function datastoreParts(datastores: Datastores, request: TakeSupportBundle): BundlePart[] {
  let waitsFor: string | null = null
  const guarded = (name: string, read: () => AsyncIterable<object>) =>
    async function* () {
      if (waitsFor !== null) throw new AgentError('io', `not looked at, since datastore ${waitsFor} did not answer`)
      waitsFor = name
      try {
        yield* read()
      } finally {
        // Never reached while it waits for an answer.
        waitsFor = null
      }
    }
  return request.datastores.flatMap((datastore, index) => {
    const { name } = datastore
    const of = (file: string, about: string, list: typeof datastoreFiles): BundlePart => ({
      name: `datastores/${index + 1}/${file}`,
      about: `datastore ${name}: ${about}`,
      lines: (signal) => guarded(name, () => list(datastores, datastore, signal))(),
    })
    return [
      of('files.jsonl', 'names, sizes and kinds of what lies there; no content', datastoreFiles),
      of('vms.jsonl', 'the vm.json of each VM, and how far its journal is', datastoreVms),
    ]
  })
}
