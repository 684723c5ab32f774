import { erasureStatementType } from '@cryptvisor/control-plane-api'
import type { HostAgentClient, KeyReference } from '@cryptvisor/host-agent-api'
import { KeyProviderError } from '@cryptvisor/key-provider'
import { RestClientError } from '@cryptvisor/rest'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { keyText } from '../../key-reference.ts'
import type { WorkContext } from '../context.ts'
import { type HandOver, handOverConcurrencyMax } from '../hosts/hand-over.ts'
import { keptText, keptUntil } from '../hosts/kept-keys.ts'
import { inParallel } from '../in-parallel.ts'
import { setKeyState } from '../keys/key-rows.ts'
import type { Kms } from '../keys/kms.ts'
import { Outages } from '../keys/outages.ts'
import { destroyAtProvider } from '../keys/provider-destroy.ts'
import type { SagaDefinition, SagaRun } from '../sagas/definition.ts'
import { AgentOperation } from '../tasks/agent-operation.ts'
import type { TaskRun } from '../tasks/task-run.ts'
import { hostsOfCluster } from '../vms/lookup.ts'
import type { ErasedHost, ErasedKey, EraseState } from './erase-state.ts'
import { erasureCertificate } from './erasure-certificate.ts'
import { notReached } from './not-reached.ts'

/** Signs certificates of erasure. */
export interface StatementSigner {
  /** SHA-256 of the CA whose certificate the signer's stands under. */
  readonly caFingerprint256: string
  signDocument(type: string, payload: object): Promise<string>
}

/** What the erasure of a VM is carried out with. */
export interface EraseTools {
  readonly work: WorkContext
  readonly kms: Kms
  readonly handOver: HandOver
  readonly signer: StatementSigner
  /** The task while it is carried out. */
  readonly runOf: (taskId: string) => TaskRun | null
}

/**
 * Destroys every KEK that ever wrapped a DEK of a VM, has the hosts forget them, removes the VM's files and certifies
 * it (DESIGN.md, section 2). From the first key on nothing is taken back, and nothing is called done that was not
 * confirmed: while a provider or the VM's host is away, the task waits and says for what.
 */
export function eraseSaga(tools: EraseTools): SagaDefinition<EraseState> {
  return {
    type: 'vm.erase',
    steps: [
      { name: 'asking the key providers for the keys', act: (run) => findKeys(tools, run) },
      {
        name: 'taking the VM’s keys out of use',
        forward: true,
        act: (run) => takeOutOfUse(tools, run),
      },
      { name: 'destroying the keys at their providers', act: (run) => destroyKeys(tools, run) },
      { name: 'having the hosts forget the keys', act: (run) => forgetKeys(tools, run) },
      { name: 'removing the VM’s files', act: (run) => removeFiles(tools, run) },
      { name: 'signing the certificate', act: (run) => certify(tools, run) },
    ],
    succeed: async (transaction, record, { state, taskId, user }) => {
      const { vm, statement, keys } = state
      if (statement === null) throw new Error('an erasure without a certificate')
      await transaction
        .insertInto('erasure')
        .values({
          id: taskId,
          vm_id: vm.vmId,
          vm_name: vm.name,
          task_id: taskId,
          created_at: tools.work.clock(),
          statement,
        })
        .execute()
      await transaction.updateTable('vm').set({ task_id: null }).where('id', '=', vm.vmId).execute()
      await transaction.deleteFrom('vm').where('id', '=', vm.vmId).execute()
      const text = `VM ${vm.name} was erased: its ${keys.length === 1 ? 'key was' : `${keys.length} keys were`} destroyed (by ${user}, approved by ${state.approvedBy}) and its files removed; «vm erase-certificate show ${vm.name}» has the certificate and what it cannot reach`
      await record({ type: 'vm.crypto.erased', vm: vm.name, host: state.host.name, text, user })
    },
  }
}

/** Nothing is begun while a provider is away: then the VM stays as it is. */
async function findKeys({ kms }: EraseTools, { state, user, taskId }: SagaRun<EraseState>): Promise<undefined> {
  const purpose = { host: state.host.name, vm: state.vm.name, user, task: taskId }
  for (const { key } of state.keys) await kms.describe(key, purpose)
}

async function takeOutOfUse({ work }: EraseTools, { state, user, taskId }: SagaRun<EraseState>): Promise<undefined> {
  await work.events.transaction(async (transaction, record) => {
    const { numInsertedOrUpdatedRows } = await transaction
      .insertInto('vm_erasing')
      .values({ vm_id: state.vm.vmId })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst()
    // It may have been done before a crash.
    if (numInsertedOrUpdatedRows === 0n) return
    const text = `All keys of VM ${state.vm.name} are being destroyed for good: asked for by ${user}, approved by ${state.approvedBy}`
    await record({ type: 'vm.crypto.erasing', vm: state.vm.name, host: state.host.name, text, user, task: taskId })
  })
}

async function destroyKeys({ work }: EraseTools, run: SagaRun<EraseState>): Promise<undefined> {
  for (const [index, { key, destroyedAt }] of run.state.keys.entries()) {
    run.progress(index, run.state.keys.length)
    if (destroyedAt !== null) continue
    const answer = await destroyed(work, run, key)
    const now = work.clock()
    // What the provider confirmed is on record before the next one is asked.
    await setKeyState(work.database, key, 'destroyed', now)
    const keys = run.state.keys.map((one): ErasedKey => (one.key === key ? { ...one, answer, destroyedAt: now } : one))
    await run.save({ keys })
  }
  return undefined
}

async function destroyed(work: WorkContext, run: SagaRun<EraseState>, key: KeyReference): Promise<string | null> {
  try {
    const provider = await work.keyProviders.get(key.provider)
    return await destroyAtProvider(provider, key, 'cessation-of-operation', `VM ${run.state.vm.name} is erased`)
  } catch (error) {
    if (!(error instanceof KeyProviderError)) throw error
    const code = error.code === 'unreachable' || error.code === 'not-trusted' ? 'kms-unreachable' : 'kms-refused'
    const done = run.state.keys.filter(({ destroyedAt }) => destroyedAt !== null).length
    throw new ControlPlaneError(
      code,
      `${done} of ${run.state.keys.length} keys are destroyed; key ${key.keyId} is not: ${error.message}`,
      { cause: error },
    )
  }
}

/** A host that is away is waited for, for a while: after a restart of the control plane none is there at once. */
async function forgetKeys({ work }: EraseTools, run: SagaRun<EraseState>): Promise<Partial<EraseState>> {
  const keys = run.state.keys.map(({ key }) => key)
  const deadline = AbortSignal.any([work.stopping, AbortSignal.timeout(work.timings.hostReturnMs)])
  const hosts: ErasedHost[] = []
  await inParallel(await hostsOfCluster(work.database, run.state.cluster.id), handOverConcurrencyMax, async (host) => {
    const connection = await work.hostConnections.waitFor(host.id, deadline).catch(() => null)
    work.stopping.throwIfAborted()
    const why = connection === null ? 'it was not connected' : await forget(connection.client, host.name, keys)
    const at = work.clock()
    if (why === null) {
      const text = 'it holds none of the keys, and says so'
      hosts.push({ name: host.name, outcome: 'confirmed', at, text })
      return
    }
    const until = keptUntil(host, at)
    hosts.push({ name: host.name, outcome: 'absent', at, text: `${why}${keptText(until)}`, keptUntil: until })
  })
  return { hosts: hosts.toSorted((one, other) => (one.name < other.name ? -1 : 1)) }
}

/** Has a host forget keys; `null`: it says that it holds none of them any more. Else why nobody knows. */
async function forget(client: HostAgentClient, host: string, keys: readonly KeyReference[]): Promise<string | null> {
  try {
    for (const key of keys) await client.removeKey(key)
    const held = new Set((await client.keys()).keys.map(keyText))
    const left = keys.filter((key) => held.has(keyText(key)))
    if (left.length === 0) return null
    throw new ControlPlaneError(
      'agent-failed',
      `host ${host} says that it holds key ${left.map(keyText).join(', ')} still`,
    )
  } catch (error) {
    if (!(error instanceof RestClientError)) throw error
    if (error.code !== 'answered') return `it could not be asked: ${error.message}`
    throw new ControlPlaneError('agent-failed', `host ${host} does not forget the keys: ${error.message}`, {
      cause: error,
    })
  }
}

async function removeFiles(tools: EraseTools, run: SagaRun<EraseState>): Promise<Partial<EraseState>> {
  const { vm, host, removal } = run.state
  const asked = removal ?? {
    id: `${run.taskId}-files`,
    request: { kind: 'delete-vm' as const, vm },
    acknowledged: false,
  }
  if (removal === null) await run.save({ removal: asked })
  const taskRun = tools.runOf(run.taskId)
  if (taskRun === null) throw new Error(`task ${run.taskId} is not carried out`)
  const purpose = { host: host.name, vm: vm.name, user: run.user, task: run.taskId, outages: new Outages() }
  const operation = new AgentOperation(
    tools.work,
    tools.handOver,
    { run: taskRun, cancelling: run.cancelling, asked, host: { id: host.id, purpose } },
    () => run.save({ removal: { ...asked, acknowledged: true } }),
  )
  const outcome = await operation.outcome(removal === null)
  if (outcome.kind !== 'done') throw new ControlPlaneError('agent-failed', `host ${host.name}: ${outcome.message}`)
  return { filesRemovedAt: tools.work.clock() }
}

async function certify({ work, signer }: EraseTools, run: SagaRun<EraseState>): Promise<Partial<EraseState>> {
  const limits = await notReached(work.database, run.state)
  const certificate = erasureCertificate(run, limits, signer.caFingerprint256, work.clock())
  return { statement: await signer.signDocument(erasureStatementType, certificate) }
}
