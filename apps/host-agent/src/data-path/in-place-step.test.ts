import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import { SimulatedStorage } from '@cryptvisor/testkit'
import fc from 'fast-check'
import { digestOf, type InPlaceDisk, type Step, stepAt } from './in-place-step.ts'
import { devicePlace } from './place.ts'

const sectorBytes = 512

const digestKey = Secret.from(new Uint8Array(32).fill(7))
after(() => digestKey[Symbol.dispose]())

function diskOf(direction: InPlaceDisk['direction'], sizeBytes: number, shiftBytes: number): InPlaceDisk {
  const place = devicePlace(new SimulatedStorage(), '/dev/vda')
  return { place, direction, sizeBytes, shiftBytes, volumeKey: digestKey, digestKey, verifies: true, stepsPerNote: 1 }
}

const disks = fc
  .record({
    direction: fc.constantFrom('encrypt' as const, 'decrypt' as const),
    sectors: fc.integer({ min: 1, max: 40_000 }),
    shiftSectors: fc.oneof(fc.constant(4096), fc.constant(4040), fc.integer({ min: 500, max: 9000 })),
  })
  .map(({ direction, sectors, shiftSectors }) => diskOf(direction, sectors * sectorBytes, shiftSectors * sectorBytes))

function stepsOf(disk: InPlaceDisk): Step[] {
  const steps: Step[] = []
  for (let done = 0; done < disk.sizeBytes; done += steps.at(-1)?.sizeBytes ?? assert.fail())
    steps.push(stepAt(disk, done))
  return steps
}

/** Whether two areas of a device, each as large as its step, have a byte in common. */
function meet(one: number, oneBytes: number, other: number, otherBytes: number): boolean {
  return one < other + otherBytes && other < one + oneBytes
}

test('the steps are the whole disk, and none writes what it or a later one has still to read', () => {
  fc.assert(
    fc.property(disks, (disk) => {
      const steps = stepsOf(disk)
      const inOrder = steps.toSorted((one, other) => one.from - other.from)
      let end = 0
      for (const { from, sizeBytes } of inOrder) {
        assert.equal(from, end)
        end += sizeBytes
      }
      assert.equal(end, disk.sizeBytes)
      for (const [index, step] of steps.entries()) {
        assert.equal(step.from % 4096, 0)
        assert.ok(step.target + step.sizeBytes <= disk.sizeBytes + disk.shiftBytes)
        assert.equal(Math.abs(step.target - step.source), disk.shiftBytes)
        for (const later of steps.slice(index)) {
          assert.ok(!meet(step.target, step.sizeBytes, later.source, later.sizeBytes), 'a source is overwritten')
        }
        for (const earlier of steps.slice(0, index)) {
          assert.ok(!meet(step.target, step.sizeBytes, earlier.target, earlier.sizeBytes), 'a target is overwritten')
        }
      }
    }),
    { numRuns: 200 },
  )
})

test('a shift below one block leaves no room for a step', () => {
  assert.throws(() => stepAt(diskOf('encrypt', 4096, 3584), 0), { code: 'size-mismatch' })
})

test('a digest is bound to its bytes, its place and what is done with it', () => {
  const [disk, other] = [diskOf('encrypt', 8_388_608, 2_097_152), diskOf('decrypt', 8_388_608, 2_097_152)]
  const [last, before] = stepsOf(disk)
  assert.ok(last !== undefined && before !== undefined)
  const bytes = Buffer.alloc(512)
  const digests = [
    digestOf(disk, last, bytes),
    digestOf(disk, before, bytes),
    digestOf(disk, last, Buffer.alloc(1024)),
    digestOf(disk, last, Buffer.alloc(512, 1)),
    digestOf(other, last, bytes),
  ]
  assert.equal(new Set(digests).size, digests.length)
  assert.equal(digestOf(disk, last, bytes), digests[0])
})
