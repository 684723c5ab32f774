import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import { SimulatedStorage } from '@cryptvisor/testkit'
import { InPlaceMove } from './in-place-move.ts'
import { devicePlace } from './place.ts'

const path = '/dev/disk'
const sizeBytes = 1_048_576
const shiftBytes = 65_536

test('what cannot be opened lets go of its device', async () => {
  const storage = new SimulatedStorage({ fileSystems: {}, devices: { [path]: sizeBytes + shiftBytes } })
  using digestKey = Secret.random(32)
  using good = Secret.random(64)
  // XTS takes no key whose halves are the same.
  using bad = Secret.from(new Uint8Array(64))
  const open = (volumeKey: Secret, size: number) =>
    InPlaceMove.open(
      {
        ...{ place: devicePlace(storage, path), direction: 'encrypt', sizeBytes: size, shiftBytes },
        ...{ volumeKey, digestKey, verifies: true, stepsPerNote: 1 },
      },
      { doneBytes: 0, digests: [] },
    )
  await assert.rejects(open(bad, sizeBytes), { name: 'CryptoError' })
  await assert.rejects(open(good, sizeBytes + 512), { name: 'DataPathError', code: 'no-space' })
  await using move = await open(good, sizeBytes)
  await assert.rejects(open(good, sizeBytes), { name: 'DataPathError', message: /EBUSY/ })
  assert.equal(move.done, false)
})
