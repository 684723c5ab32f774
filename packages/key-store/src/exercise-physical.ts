import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { Area, Physical } from './physical.ts'

const areas: readonly Area[] = ['keyring', 'wrapping-key', 'value']

/** What every `Physical` must do; for tests. Needs an empty storage and throws an AssertionError where it falls short. */
export async function exercisePhysical(physical: Physical): Promise<void> {
  const id = 'a1B2-_.c'
  for (const area of areas) assert.equal(await physical.read(area, id), null)

  // Areas are apart from one another, and so are ids.
  const contents = new Map(areas.map((area, index) => [area, randomBytes(20 + index)]))
  for (const [area, bytes] of contents) await physical.write(area, id, bytes)
  for (const [area, bytes] of contents) assert.deepEqual(plain(await physical.read(area, id)), plain(bytes), area)
  assert.equal(await physical.read('value', `${id}x`), null)

  // Bytes are copied on the way in and on the way out.
  const source = Uint8Array.of(1, 2, 3)
  await physical.write('value', 'copy', source)
  source.fill(9)
  const first = await physical.read('value', 'copy')
  first?.fill(8)
  assert.deepEqual(plain(await physical.read('value', 'copy')), [1, 2, 3])

  // A second write replaces the whole; every byte and no bytes at all come back as they went.
  const every = Uint8Array.from({ length: 70_000 }, (_, index) => index % 256)
  await physical.write('value', id, every)
  assert.deepEqual(plain(await physical.read('value', id)), plain(every))
  await physical.write('value', id, new Uint8Array())
  assert.deepEqual(plain(await physical.read('value', id)), [])

  // What is erased is gone, alone, and may come again.
  await physical.erase('wrapping-key', id)
  await physical.erase('wrapping-key', id)
  assert.equal(await physical.read('wrapping-key', id), null)
  assert.notEqual(await physical.read('keyring', id), null)
  await physical.write('wrapping-key', id, Uint8Array.of(7))
  assert.deepEqual(plain(await physical.read('wrapping-key', id)), [7])
}

function plain(bytes: Uint8Array | null): number[] {
  assert.ok(bytes !== null, 'the entry is there')
  return [...bytes]
}
