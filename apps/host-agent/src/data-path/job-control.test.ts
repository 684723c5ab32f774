import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { JobControl } from './job-control.ts'

const laneCountMax = 5

/** Lanes that each finish a chunk and take the next in any order: the chunks that are done, and those in hand. */
class Lanes {
  readonly control: JobControl
  readonly done = new Set<number>()
  readonly #inHand: (number | null)[]

  constructor(laneCount: number) {
    this.control = JobControl.start(laneCount, 0)
    this.#inHand = Array.from({ length: laneCount }, () => null)
  }

  step(lane: number): void {
    const finished = this.#inHand[lane]
    if (finished != null) this.done.add(finished)
    this.#inHand[lane] = this.control.takeChunk(lane)
  }

  /** How many chunks are done before the first that is not. */
  get doneInARow(): number {
    let count = 0
    while (this.done.has(count)) count++
    return count
  }
}

test('a chunk is taken once, and none that is open is said to be done, in whatever order the lanes work', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: laneCountMax }), fc.array(fc.nat()), (laneCount, steps) => {
      const lanes = new Lanes(laneCount)
      for (const step of steps) {
        lanes.step(step % laneCount)
        assert.ok(lanes.control.lowestOpenChunk <= lanes.doneInARow)
      }
      assert.equal(new Set(lanes.done).size, lanes.done.size)
      // When all lanes have taken another chunk, nothing that is done is held back.
      for (let lane = 0; lane < laneCount; lane++) lanes.step(lane)
      for (let lane = 0; lane < laneCount; lane++) lanes.step(lane)
      assert.ok(lanes.control.lowestOpenChunk >= Math.min(...[steps.length - laneCount, lanes.doneInARow]))
    }),
  )
})

test('what is done before the job counts as done', () => {
  const control = JobControl.start(2, 4096)
  assert.equal(control.doneBytes, 4096)
  control.add(2 ** 40)
  assert.equal(control.doneBytes, 2 ** 40 + 4096)
  assert.ok(!control.stopped)
  new JobControl(control.memory).stop()
  assert.ok(control.stopped)
})

const chunkCount = 20_000

/** Marks each chunk as done before it takes the next. */
const laneProgram = `
  import { workerData } from 'node:worker_threads'
  import { JobControl } from ${JSON.stringify(new URL('./job-control.ts', import.meta.url).href)}
  const control = new JobControl(workerData.control)
  const marks = new Uint8Array(workerData.marks)
  for (let chunk = control.takeChunk(workerData.lane); chunk < marks.length; chunk = control.takeChunk(workerData.lane)) {
    Atomics.add(marks, chunk, 1)
  }`

test('threads that work at once take each chunk once, and none is said to be done before it is', async () => {
  const control = JobControl.start(3, 0)
  const marks = new Uint8Array(new SharedArrayBuffer(chunkCount))
  const script = new URL(`data:text/javascript,${encodeURIComponent(laneProgram)}`)
  const workers = [0, 1, 2].map(
    (lane) => new Worker(script, { workerData: { control: control.memory, marks: marks.buffer, lane } }),
  )
  let ended = false
  const ends = Promise.all(workers.map((worker) => once(worker, 'exit'))).then(() => {
    ended = true
  })
  for (let checked = 0; !ended; await new Promise((resolve) => setImmediate(resolve))) {
    for (const lowest = Math.min(control.lowestOpenChunk, chunkCount); checked < lowest; checked++) {
      assert.equal(Atomics.load(marks, checked), 1)
    }
  }
  await ends
  assert.ok(marks.every((mark) => mark === 1))
  assert.ok(control.lowestOpenChunk >= chunkCount)
})
