import { type Cipheriv, createCipheriv } from 'node:crypto'
import { type BlockCore, type Direction, EcbCore } from './block-core.ts'
import { CryptoError } from './crypto-error.ts'
import { checkDataUnits, type DataUnitCipher, type DataUnitSizeBytes, dataUnitSizeBytes } from './data-unit.ts'
import { LongUnitCore } from './long-unit-core.ts'
import { blockSizeBytes, type XtsKey } from './xts-key.ts'
import {
  offsetsAddress,
  spanSizeBytes,
  stagingAddress,
  stepSizeBytes,
  tweaksAddress,
  type XtsWorkspace,
} from './xts-workspace.ts'

/** From here on a cipher object for the step costs less than it saves. */
const longStepSizeMin = 16_384

/** What XtsBatch is made of. */
export interface XtsBatchOptions {
  readonly unitSizeBytes: DataUnitSizeBytes
  readonly core: 'xts' | 'ecb'
  readonly workspace: XtsWorkspace
}

interface Contexts {
  readonly tweaker: Cipheriv
  readonly short: BlockCore
  readonly long: BlockCore
}

/**
 * AES-XTS composed as IEEE 1619, 5.3 defines it, C = E1(P ^ T) ^ T, for many data units at once: one call of OpenSSL
 * encrypts the sector numbers of a span, one the masked blocks of a step, and a kernel makes the masks. Bit for bit the
 * same as XTS; not a validated module's XTS. Keys live in OpenSSL's contexts; outputs that go back to the allocator are masked.
 */
export class XtsBatch implements DataUnitCipher {
  readonly unitSizeBytes: DataUnitSizeBytes
  readonly core: 'xts' | 'ecb'
  readonly #workspace: XtsWorkspace
  #contexts: Contexts | null

  constructor(key: XtsKey, { unitSizeBytes, core, workspace }: XtsBatchOptions) {
    this.unitSizeBytes = unitSizeBytes
    this.core = core
    this.#workspace = workspace
    const tweaker = createCipheriv(key.ciphers.ecb, key.tweak, null).setAutoPadding(false)
    const short = new EcbCore(key)
    const long = core === 'xts' ? new LongUnitCore(key, unitSizeBytes, (block) => tweaker.update(block)) : short
    this.#contexts = { tweaker, short, long }
  }

  encrypt(bytes: Uint8Array, sector: number, target: Uint8Array = bytes): void {
    this.#run('encrypt', bytes, sector, target)
  }

  decrypt(bytes: Uint8Array, sector: number, target: Uint8Array = bytes): void {
    this.#run('decrypt', bytes, sector, target)
  }

  /** Frees OpenSSL's contexts with the keys at the next garbage collection, and wipes the scratch memory at once. */
  [Symbol.dispose](): void {
    this.#contexts?.long.offsets?.fill(0)
    this.#contexts = null
    this.#workspace.wipeScratch()
  }

  #run(direction: Direction, bytes: Uint8Array, sector: number, target: Uint8Array): void {
    checkDataUnits(this.unitSizeBytes, bytes, sector, target)
    const contexts = this.#contexts
    if (contexts === null) throw new CryptoError('disposed', 'this cipher was disposed of')
    this.#workspace.check()
    const address = this.#workspace.addressOf(target)
    if (address === null) {
      this.#runStaged(contexts, direction, bytes, sector, target)
      return
    }
    if (this.#workspace.addressOf(bytes) !== address) target.set(bytes)
    for (let offset = 0; offset < bytes.length; offset += spanSizeBytes) {
      const sizeBytes = Math.min(spanSizeBytes, bytes.length - offset)
      this.#runSpan(contexts, direction, address + offset, sizeBytes, sector + offset / dataUnitSizeBytes)
    }
  }

  /** Takes bytes from outside the memory through it, step by step. */
  #runStaged(contexts: Contexts, direction: Direction, bytes: Uint8Array, sector: number, target: Uint8Array): void {
    const memory = this.#workspace.bytes
    for (let offset = 0; offset < bytes.length; offset += stepSizeBytes) {
      const step = bytes.subarray(offset, offset + stepSizeBytes)
      memory.set(step, stagingAddress)
      this.#runSpan(contexts, direction, stagingAddress, step.length, sector + offset / dataUnitSizeBytes)
      target.set(memory.subarray(stagingAddress, stagingAddress + step.length), offset)
    }
  }

  #runSpan(contexts: Contexts, direction: Direction, address: number, sizeBytes: number, sector: number): void {
    const { kernel, bytes: memory } = this.#workspace
    const { unitSizeBytes } = this
    const unitCount = sizeBytes / unitSizeBytes
    kernel.numbers(tweaksAddress, sector, unitCount, unitSizeBytes / dataUnitSizeBytes)
    replace(memory, tweaksAddress, unitCount * blockSizeBytes, (numbers) => contexts.tweaker.update(numbers))
    for (let offset = 0; offset < sizeBytes; offset += stepSizeBytes) {
      const stepBytes = Math.min(stepSizeBytes, sizeBytes - offset)
      const tweaks = tweaksAddress + (offset / unitSizeBytes) * blockSizeBytes
      this.#runStep(contexts, direction, address + offset, stepBytes, tweaks)
    }
  }

  #runStep(contexts: Contexts, direction: Direction, address: number, sizeBytes: number, tweaks: number): void {
    const { kernel, bytes: memory } = this.#workspace
    const unitCount = sizeBytes / this.unitSizeBytes
    const core = sizeBytes < longStepSizeMin ? contexts.short : contexts.long
    if (core.offsets !== null) {
      memory.set(core.offsets, offsetsAddress)
      kernel.xor(tweaks, offsetsAddress, unitCount * blockSizeBytes)
    }
    kernel.mask(address, tweaks, unitCount, this.unitSizeBytes)
    replace(memory, address, sizeBytes, (blocks) => core.update(direction, blocks))
    kernel.mask(address, tweaks, unitCount, this.unitSizeBytes)
  }
}

/** Puts what `transform` makes of some bytes in their place, and gives the memory of its output back at once. */
function replace(
  memory: Uint8Array<ArrayBuffer>,
  address: number,
  sizeBytes: number,
  transform: (bytes: Uint8Array) => Buffer,
): void {
  const output = transform(memory.subarray(address, address + sizeBytes))
  if (output.length !== sizeBytes)
    throw new CryptoError('data-size', `OpenSSL made ${output.length} of ${sizeBytes} bytes`)
  memory.set(output, address)
  // Waiting for the garbage collector costs more than the cipher: it lets every output be new, cold memory.
  if (output.byteLength === output.buffer.byteLength && output.buffer instanceof ArrayBuffer) output.buffer.transfer(0)
}
