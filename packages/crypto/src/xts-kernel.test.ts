import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomFillSync } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { loadXtsKernel, type XtsKernelName } from './xts-kernel.ts'

const tweaksAddress = 4096
const targetAddress = 8192

function load(name: XtsKernelName) {
  const memory = new WebAssembly.Memory({ initial: 2 })
  const kernel = loadXtsKernel(memory, name)
  assert.equal(kernel.name, name)
  const bytes = Buffer.from(memory.buffer)
  randomFillSync(bytes, tweaksAddress)
  return { kernel, bytes }
}

const numberOf = (block: Buffer) => block.readBigUInt64LE(0) | (block.readBigUInt64LE(8) << 64n)

/** IEEE 1619, 5.2, by the book: as a polynomial over GF(2), modulo x^128 + x^7 + x^2 + x + 1. */
function timesAlpha(tweak: bigint): bigint {
  const product = tweak << 1n
  return product >> 128n === 0n ? product : product ^ ((1n << 128n) | 0x87n)
}

for (const name of ['simd', 'plain'] as const) {
  test(`the ${name} kernel masks each block with its tweak times a power of alpha, and nothing else`, () => {
    const { kernel, bytes } = load(name)
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 19 }),
        fc.constantFrom(16, 48, 512, 1024, 4096),
        fc.integer({ min: 0, max: 3 }),
        (unitCount, unitSizeBytes, shift) => {
          const target = targetAddress + shift * 16
          randomFillSync(bytes, tweaksAddress)
          const expected = Buffer.from(bytes)
          kernel.mask(target, tweaksAddress, unitCount, unitSizeBytes)
          for (let unit = 0; unit < unitCount; unit++) {
            const address = tweaksAddress + unit * 16
            let tweak = numberOf(expected.subarray(address, address + 16))
            for (let offset = 0; offset < unitSizeBytes; offset += 16, tweak = timesAlpha(tweak)) {
              const start = target + unit * unitSizeBytes + offset
              const block = numberOf(expected.subarray(start, start + 16)) ^ tweak
              expected.writeBigUInt64LE(block & 0xffff_ffff_ffff_ffffn, start)
              expected.writeBigUInt64LE(block >> 64n, start + 8)
            }
          }
          assert.ok(expected.equals(bytes))
        },
      ),
      { numRuns: 30 },
    )
  })

  test(`the ${name} kernel counts sectors in 64 bits`, () => {
    const { kernel, bytes } = load(name)
    for (const first of [0, 1, 0xffff_fffe, 0x1_0000_0000, 2 ** 52 + 1]) {
      for (const increment of [1, 8]) {
        const expected = Buffer.from(bytes)
        for (let index = 0; index < 5; index++) {
          expected.writeBigUInt64LE(BigInt(first) + BigInt(index * increment), targetAddress + index * 16)
          expected.writeBigUInt64LE(0n, targetAddress + index * 16 + 8)
        }
        kernel.numbers(targetAddress, first, 5, increment)
        assert.ok(expected.equals(bytes))
      }
    }
  })

  test(`the ${name} kernel XORs as many bytes as it is told`, () => {
    const { kernel, bytes } = load(name)
    for (const sizeBytes of [0, 16, 32, 80, 4096]) {
      const expected = Buffer.from(bytes)
      for (let index = 0; index < sizeBytes; index++) {
        const source = expected[tweaksAddress + index] ?? 0
        expected[targetAddress + index] = (expected[targetAddress + index] ?? 0) ^ source
      }
      kernel.xor(targetAddress, tweaksAddress, sizeBytes)
      assert.ok(expected.equals(bytes))
    }
  })
}

/** Encrypts with each core where the processor seems to have no SSE 4.1, and so V8 no SIMD for WebAssembly. */
const withoutSimd = `
  const { Secret } = await import('@cryptvisor/secret')
  const { createXts, DataUnitMemory } = await import('${import.meta.resolve('./index.ts')}')
  const key = Secret.from(Uint8Array.from({ length: 64 }, (_, index) => index))
  const outputs = ['xts', 'ecb', 'units'].map((core) => {
    const memory = new DataUnitMemory({ sizeBytes: 200_704 })
    const cipher = createXts(key, { core, memory })
    cipher.encrypt(memory.buffers[0], 1)
    return [memory.workspace.kernel.name, cipher.core, memory.buffers[0].toString('base64')]
  })
  const [first, second, third] = outputs.map(([, , bytes]) => bytes)
  console.log(JSON.stringify({ equal: first === second && second === third, used: outputs.map((output) => output.slice(0, 2)) }))
`

test('where WebAssembly has no SIMD, the plain kernel does the same', { skip: process.arch !== 'x64' }, () => {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--no-enable-sse4-1', '--input-type=module', '--eval', withoutSimd],
    { cwd: import.meta.dirname, encoding: 'utf8' },
  )
  assert.equal(stderr, '')
  assert.deepEqual(JSON.parse(stdout), {
    equal: true,
    used: [
      ['plain', 'xts'],
      ['plain', 'ecb'],
      ['plain', 'units'],
    ],
  })
})
