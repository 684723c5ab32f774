import { copyFileSync, readFileSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import { join } from 'node:path'
import { type Event, type Privilege, privileges, type Task } from '@cryptvisor/control-plane-api'
import { holdsTrace, temporaryFolder } from '@cryptvisor/testkit'
import { v7 } from 'uuid'
import { openControlPlaneDatabase } from '../../../database/open.ts'
import type { PolicyRow } from '../../../database/policy-rows.ts'
import { everywhere } from '../../access-control.ts'
import { noRules } from '../../policy-rules.ts'
import type { Principal } from '../../ports.ts'
import type { Timings } from '../context.ts'
import type { VerificationSettings } from '../keys/key-verification.ts'
import { getTask } from '../tasks/task-store.ts'
import { isOver, taskView } from '../tasks/task-view.ts'
import { ControlPlaneProcess } from './control-plane-process.ts'
import { fillInventory } from './inventory.ts'
import { MemoryKms } from './memory-kms.ts'
import { SimulatedAgent } from './simulated-agent.ts'
import { SimulatedDatastore } from './simulated-datastore.ts'

/** What of `node:test` is needed. */
interface Ending {
  after(run: () => void | Promise<void>): void
}

const looksMax = 20_000

/** A user who may do everything but these. */
export function userWithout(...missing: Privilege[]): Principal {
  return everywhere(
    'ada',
    privileges.filter((privilege) => !missing.includes(privilege)),
  )
}

/** A user who may do everything. */
export const admin = userWithout()

/**
 * A lab in memory: two hosts of one cluster with a datastore, two key providers, and a control plane on a database file
 * that can be killed and started again.
 */
export class World {
  readonly folder: string
  readonly datastore = new SimulatedDatastore()
  readonly kms = new MemoryKms('vault')
  readonly otherKms = new MemoryKms('spare')
  readonly hostA = new SimulatedAgent('host-a', this.datastore)
  readonly hostB = new SimulatedAgent('host-b', this.datastore)
  /** How often keys are read back by themselves; null: never. */
  verification: VerificationSettings | null = null
  readonly #timings: Partial<Timings>
  #passedMs = 0
  #process: ControlPlaneProcess | null = null

  private constructor(folder: string, timings: Partial<Timings>) {
    this.folder = folder
    this.#timings = timings
  }

  /** A lab that is as this one is, whose control plane was stopped; with a life of its own. */
  async fork(context: Ending): Promise<World> {
    const other = new World(temporaryFolder(context), this.#timings)
    other.#passedMs = this.#passedMs
    context.after(() => other.stop())
    copyFileSync(this.databasePath, other.databasePath)
    other.datastore.copy(this.datastore)
    other.kms.copy(this.kms)
    other.otherKms.copy(this.otherKms)
    other.hostA.copy(this.hostA)
    other.hostB.copy(this.hostB)
    await other.boot()
    return other
  }

  /** A lab whose control plane runs and whose hosts are connected. */
  static async start(context: Ending, timings: Partial<Timings> = {}): Promise<World> {
    const world = new World(temporaryFolder(context), timings)
    context.after(() => world.stop())
    const database = await openControlPlaneDatabase(world.databasePath)
    await fillInventory(database)
    await database.destroy()
    await world.boot()
    return world
  }

  /** The time, as the control plane has it. */
  readonly clock = (): number => Date.now() + this.#passedMs

  /** Lets the clock go forward. */
  pass(ms: number): void {
    this.#passedMs += ms
  }

  get databasePath(): string {
    return join(this.folder, 'control-plane.sqlite')
  }

  get agents(): readonly SimulatedAgent[] {
    return [this.hostA, this.hostB]
  }

  /** The control plane that runs. */
  get process(): ControlPlaneProcess {
    if (this.#process === null) throw new Error('no control plane runs')
    return this.#process
  }

  get work() {
    return this.process.work
  }

  /** Starts a control plane on the database, without hosts. */
  async boot(): Promise<void> {
    const database = await openControlPlaneDatabase(this.databasePath)
    const providers = new Map([this.kms, this.otherKms].map((kms) => [kms.name, kms]))
    this.#process = new ControlPlaneProcess(database, providers, this.#timings, this.verification, this.clock)
    await this.#process.work.start()
    for (const agent of this.agents) if (agent.running) await this.connect(agent)
  }

  /** The host's agent opens a session; returns when the host is brought up to date as far as it can be at once. */
  async connect(agent: SimulatedAgent): Promise<void> {
    await this.process.connect(agent)
  }

  async disconnect(agent: SimulatedAgent): Promise<void> {
    await this.process.disconnect(agent)
  }

  /** Ends the process that runs, which was killed or is to stop, and lets go of the database. */
  async stop(): Promise<void> {
    const process = this.#process
    this.#process = null
    await process?.end()
  }

  /** The control plane goes away and comes back on the same database. */
  async reboot(): Promise<void> {
    await this.stop()
    await this.boot()
  }

  /** Waits for a task's end, without passing any fault. */
  async ended(task: Task): Promise<Task> {
    for (;;) {
      const row = await getTask(this.process.database, task.id)
      if (isOver(row)) return taskView(row, null)
      await this.pause()
    }
  }

  /** Waits for something to become true; gives up when it has looked for it so often that it will not. */
  async until(what: () => boolean | Promise<boolean>): Promise<void> {
    for (let lookCount = 0; !(await what()); lookCount++) {
      if (lookCount === looksMax) throw new Error(`it did not become true: ${what}`)
      await this.pause()
    }
  }

  pause(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, 1))
  }

  /** All events, the oldest first. */
  events(): Promise<Event[]> {
    return this.process.log.list({ after: 0, limit: 1000 })
  }

  async eventsOf(type: Event['type']): Promise<Event[]> {
    return (await this.events()).filter((event) => event.type === type)
  }

  /** Has the provider give one wrapping key to many VMs; none is made yet. */
  async wrapKeys(provider = 'vault'): Promise<void> {
    await this.work.setKeyType(admin, provider, { keyType: 'wrapped' })
    await this.until(async () => (await this.wrappingKey(provider)) !== null)
  }

  /** The ID of the key that the provider takes; `null`: none was made. */
  async wrappingKey(provider = 'vault'): Promise<string | null> {
    const row = await this.process.database
      .selectFrom('wrapping_key')
      .select('key_id')
      .where('provider', '=', provider)
      .executeTakeFirst()
    return row?.key_id ?? null
  }

  /** A plain VM with two disks, on host-a. */
  async plainVm(name = 'web'): Promise<void> {
    const disks = [{ sizeBytes: 1024 }, { sizeBytes: 2048 }]
    const task = await this.ended(await this.work.createVm(admin, { name, host: 'host-a', disks }))
    if (task.state !== 'success') throw new Error(`the VM was not made: ${task.error?.message}`)
  }

  /** Starts a VM of its host. */
  async powerOn(name = 'web'): Promise<void> {
    const task = await this.ended(await this.work.machines.changePower(admin, name, { action: 'power-on' }))
    if (task.state !== 'success') throw new Error(`the VM was not started: ${task.error?.message}`)
  }

  /** The agent says how its machines are. */
  async report(agent: SimulatedAgent): Promise<void> {
    await this.process.report(agent)
  }

  /** A storage policy; what is left out says nothing. */
  async addPolicy(name: string, rules: Partial<PolicyRow>): Promise<void> {
    const row = {
      id: v7(),
      name,
      description: '',
      ...noRules,
      version: 1,
      system: 0,
      changed_at: null,
      changed_by: null,
    }
    await this.process.database
      .insertInto('policy')
      .values({ ...row, ...rules })
      .execute()
  }

  /** Changes the rules of a storage policy, and has the work know. */
  async changePolicy(name: string, rules: Partial<PolicyRow>): Promise<void> {
    await this.process.database
      .updateTable('policy')
      .set((set) => ({ ...rules, version: set('version', '+', 1) }))
      .where('name', '=', name)
      .execute()
    await this.work.policyChanged(name)
  }

  /** The database's files that hold bytes of a KEK; there must be none. */
  async filesWithKeys(): Promise<string[]> {
    const found: string[] = []
    for await (const name of glob('*', { cwd: this.folder })) {
      const bytes = readFileSync(join(this.folder, name))
      const keys = [...this.kms.keys.values(), ...this.otherKms.keys.values()]
      if (keys.some((key) => holdsTrace(bytes, Buffer.from(key.bytes)))) found.push(name)
    }
    return found
  }
}
