import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OperationStatus } from '@cryptvisor/host-agent-api'
import { SeededRandom, type SimulatedStorage } from '@cryptvisor/testkit'
import { KeyCache } from '../key-cache.ts'
import { record } from '../testing/crash-simulation.ts'
import { DeviceVm, deviceOf, devicePath } from '../testing/device-vm.ts'
import { datastorePath, simulatedHost, startedOperations } from '../testing/simulated-host.ts'
import { lockStateOf } from './lock-state.ts'

const seedDefault = 20_260_712

/** `./run test --long`: every old journal is put back at both ends of the time of every newer one. */
const long = process.env['CRYPTVISOR_TEST_LONG'] !== undefined

/** Three steps. */
const sizeBytes = 5_242_880

type Kind = 'encrypt' | 'decrypt'

/** An operation that was recorded, and its journal as it was at each moment. */
class Recorded implements Disposable {
  readonly made: DeviceVm
  readonly recording: Awaited<ReturnType<typeof record>>
  /** Each text of the journal, and the event before which it first was there. */
  readonly journals: readonly { readonly at: number; readonly text: Buffer }[]

  private constructor(made: DeviceVm, recording: Awaited<ReturnType<typeof record>>) {
    this.made = made
    this.recording = recording
    const journals: { at: number; text: Buffer }[] = []
    for (let at = 0; at <= recording.doneAt; at++) {
      const event = recording.storage.trace[at - 1]
      if (event?.kind !== 'names') continue
      const text = this.at(at).files().get(this.path('journal.json'))
      if (text !== undefined && journals.at(-1)?.text.equals(text) !== true) journals.push({ at, text })
    }
    this.journals = journals
  }

  static async of(kind: Kind, seed: SeededRandom): Promise<Recorded> {
    const made = await DeviceVm.make(seed, sizeBytes)
    if (kind === 'decrypt') await made.run(made.encrypt())
    return new Recorded(made, await record(made.scenario(kind, made[kind]())))
  }

  /** The storage as the agent's end before that event leaves it. */
  at(event: number): SimulatedStorage {
    return this.recording.storage.cut(event, 'everything')
  }

  /** Right before the journal says that it is `state`; where there are several, before the last of them. */
  before(state: string): SimulatedStorage {
    const found = this.journals.findLast(({ text }) => stateOf(text) === state)
    assert.ok(found !== undefined, `the journal never says «${state}»`)
    return this.at(found.at - 1)
  }

  path(name: string): string {
    return `${datastorePath}/${this.made.vm.folder}/${name}`
  }

  /** Right after the first step was made durable. */
  get firstStepAt(): number {
    return this.recording.storage.trace.findIndex(({ kind, path }) => kind === 'sync' && path === devicePath) + 1
  }

  get headerPath(): string {
    return this.path(`${this.made.vm.disks[0]?.layerId}.header`)
  }

  async recover(storage: SimulatedStorage, keys: KeyCache = this.made.keys): Promise<OperationStatus> {
    await using operations = startedOperations(storage, keys)
    return await operations.recover(this.recording.id, this.recording.scenario.request)
  }

  /** It is refused, and nothing on the device or of the header is touched. */
  async refuses(storage: SimulatedStorage, code: string, keys?: KeyCache): Promise<void> {
    const [device, header] = [deviceOf(storage), storage.files().get(this.headerPath)]
    await assert.rejects(this.recover(storage, keys), { code })
    assert.ok(deviceOf(storage).equals(device), 'the device was written')
    assert.deepEqual(storage.files().get(this.headerPath), header)
  }

  /** It comes to its end, and all is whole. */
  async comesToItsEnd(storage: SimulatedStorage): Promise<void> {
    const { state, vm, error } = await this.recover(storage)
    assert.ok(state === 'done' && vm !== null, `${state} ${error?.message}`)
    await this.made.checkWhole(storage, vm)
  }

  [Symbol.dispose](): void {
    this.made[Symbol.dispose]()
  }
}

function stateOf(journal: Buffer): string {
  const { content } = JSON.parse(journal.toString()) as {
    content: { state: string; parts: { state: string; doneBytes: number }[] }
  }
  const [part] = content.parts
  return content.state === 'copying' && part !== undefined ? `${part.state} ${part.doneBytes}` : content.state
}

/** The journal's words for the middle of each operation: two steps are done, and the last has been noted. */
const middle: Readonly<Record<Kind, string>> = {
  encrypt: `copying ${1_048_576 + 2_097_152}`,
  decrypt: `copying ${2 * 2_097_152}`,
}

for (const kind of ['encrypt', 'decrypt'] as const) {
  test(`${kind} in place: no older journal of the same operation loses a byte`, async (context) => {
    using recorded = await Recorded.of(kind, SeededRandom.of(context, seedDefault))
    const { journals, recording, made } = recorded
    const states = journals.map(({ text }) => stateOf(text))
    assert.ok(states.includes(middle[kind]), states.join(', '))
    const found = { refused: 0, done: 0 }
    for (const [index, { at }] of journals.entries()) {
      const last = (journals[index + 1]?.at ?? recording.doneAt) - 1
      if (['switched', 'cleaned'].includes(stateOf(journals[index]?.text ?? Buffer.alloc(0)))) continue
      for (const { text } of journals.slice(0, index)) {
        for (const event of new Set(long ? [at, last] : [last])) {
          const storage = recorded.at(event)
          const right = storage.files().get(recorded.path('journal.json'))
          assert.ok(right !== undefined)
          storage.plant(recorded.path('journal.json'), { kind: 'file', bytes: text })
          const device = deviceOf(storage)
          const state = await recorded.recover(storage).then(
            ({ state: reached, vm }) => ({ reached, vm }),
            () => null,
          )
          if (state === null) {
            assert.ok(deviceOf(storage).equals(device), `${stateOf(text)} at event ${event}: the device was written`)
            storage.plant(recorded.path('journal.json'), { kind: 'file', bytes: right })
            await recorded.comesToItsEnd(storage)
            found.refused++
          } else {
            await made.checkWhole(storage, state.reached === 'done' && state.vm !== null ? state.vm : made.vm)
            found.done++
          }
        }
      }
    }
    context.diagnostic(JSON.stringify(found))
    assert.ok(found.refused > 0 && found.done > 0)
  })

  test(`${kind} in place: the first journal put back, and a cancel, do not take the header away`, async (context) => {
    using recorded = await Recorded.of(kind, SeededRandom.of(context, seedDefault))
    const [first] = recorded.journals
    assert.ok(first !== undefined && stateOf(first.text) === 'prepared')
    // The first step is done, and its source is whole still.
    const storage = recorded.at(recorded.firstStepAt)
    storage.plant(recorded.path('journal.json'), { kind: 'file', bytes: first.text })
    await using operations = startedOperations(storage, recorded.made.keys)
    const { id, scenario } = recorded.recording
    const recovering = operations.recover(id, scenario.request)
    operations.cancel(id)
    const { state, vm } = await recovering
    assert.ok(state === 'done' && vm !== null)
    await recorded.made.checkWhole(storage, vm)
  })

  test(`${kind} in place: a journal that was changed, removed or swapped moves nothing`, async (context) => {
    const random = SeededRandom.of(context, seedDefault)
    using recorded = await Recorded.of(kind, random)
    const [journal, header] = [recorded.path('journal.json'), recorded.headerPath]
    const at = () => recorded.before(middle[kind])
    const bytesOf = (path: string) => at().files().get(path) ?? assert.fail(path)
    const text = bytesOf(journal).toString()
    const forged = {
      'further on': text.replace(/"doneBytes": \d+/, `"doneBytes": ${sizeBytes - 2_097_152}`),
      'not begun': text
        .replace(/"doneBytes": \d+/, '"doneBytes": 0')
        .replace('"state": "copying",\n', '"state": "waiting",\n'),
      'ready already': text.replace('"state": "copying"', '"state": "ready"'),
      'another header': text.replace(/"header": "[0-9a-f]+"/, `"header": "${'0'.repeat(64)}"`),
      'another digest': text.replace(/"digests": \[\s*"[0-9a-f]+"/, `"digests": ["${'0'.repeat(64)}"`),
      'no digest': text.replace(/,\s*"digests": \[[^\]]*\]/, ''),
    }
    for (const [what, forgery] of Object.entries(forged)) {
      assert.notEqual(forgery, text, what)
      const storage = at()
      storage.plant(journal, { kind: 'file', bytes: Buffer.from(forgery) })
      await recorded.refuses(storage, 'datastore-mismatch')
      storage.plant(journal, { kind: 'file', bytes: Buffer.from(text) })
      await recorded.comesToItsEnd(storage)
    }
    const withoutJournal = at()
    await (await folderOf(withoutJournal, recorded)).removeFile('journal.json')
    await recorded.refuses(withoutJournal, 'datastore-mismatch')
    const damaged = at()
    damaged.plant(header, { kind: 'file', bytes: Buffer.from(bytesOf(header)).fill(1, 4096, 8192) })
    await recorded.refuses(damaged, 'datastore-mismatch')
  })

  test(`${kind} in place: without its keys it stays as it is, and the VM is locked until it is done`, async (context) => {
    using recorded = await Recorded.of(kind, SeededRandom.of(context, seedDefault))
    const storage = recorded.before(middle[kind])
    using none = new KeyCache()
    await recorded.refuses(storage, 'key-not-held', none)
    const { state, reason } = await lockStateOf(simulatedHost(storage, recorded.made.keys), recorded.made.vm)
    assert.equal(state, 'locked')
    assert.match(reason?.text ?? '', new RegExp(`disk 0 is being ${kind}ed in place`))
    await recorded.comesToItsEnd(storage)
  })
}

async function folderOf(storage: SimulatedStorage, recorded: Recorded) {
  const folder = await storage.openFolder(recorded.path('').slice(0, -1))
  assert.ok(folder !== null)
  return folder
}
