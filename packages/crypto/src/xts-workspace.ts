import { CryptoError } from './crypto-error.ts'
import { dataUnitSizeBytes } from './data-unit.ts'
import { loadXtsKernel, type XtsKernel, type XtsKernelName } from './xts-kernel.ts'
import { blockSizeBytes } from './xts-key.ts'

/** What WebAssembly counts its memory in. */
const wasmPageSizeBytes = 65_536

/**
 * How many bytes OpenSSL gets at once. Large steps spread the microsecond that a cipher object costs; small ones keep
 * data, output and Node's copy of the output in the second cache. From 64 to 256 KiB it is within a tenth.
 */
export const stepSizeBytes = 131_072

/** How many bytes have their sector numbers encrypted at once. */
export const spanSizeBytes = 8 * stepSizeBytes

/** One block per data unit, of a span and of a step. */
const spanTweaksSizeBytes = (spanSizeBytes / dataUnitSizeBytes) * blockSizeBytes
export const stepTweaksSizeBytes = (stepSizeBytes / dataUnitSizeBytes) * blockSizeBytes

/** Where things lie. The kernel keeps its constants in the first 4096 bytes. */
export const tweaksAddress = 4096
export const offsetsAddress = tweaksAddress + spanTweaksSizeBytes
export const stagingAddress = offsetsAddress + stepTweaksSizeBytes

/** Where buffers begin: a multiple of 4096. */
export const workspaceSizeBytes = stagingAddress + stepSizeBytes

/** One piece of memory with the kernel that works in it: scratch areas, then the buffers of a DataUnitMemory. */
export class XtsWorkspace implements Disposable {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly kernel: XtsKernel
  #disposed = false

  /** `sizeBytes` counts from the beginning of the workspace. Throws a CryptoError `memory` where there is not as much. */
  constructor(sizeBytes: number, kernelName?: XtsKernelName) {
    const memory = allocate(Math.ceil(sizeBytes / wasmPageSizeBytes))
    this.bytes = new Uint8Array(memory.buffer)
    this.kernel = loadXtsKernel(memory, kernelName)
  }

  /** Throws a CryptoError `disposed` when this was disposed of. */
  check(): void {
    if (this.#disposed) throw new CryptoError('disposed', 'the memory of this cipher was disposed of')
  }

  /** Where `bytes` lie among the buffers, or null when they lie elsewhere or not at a whole block. */
  addressOf(bytes: Uint8Array): number | null {
    const { buffer, byteOffset } = bytes
    const fits = buffer === this.bytes.buffer && byteOffset >= workspaceSizeBytes && byteOffset % blockSizeBytes === 0
    return fits ? byteOffset : null
  }

  /** Wipes what ciphers leave behind: tweaks and copies of data; the buffers stay. */
  wipeScratch(): void {
    this.bytes.fill(0, tweaksAddress, workspaceSizeBytes)
  }

  [Symbol.dispose](): void {
    this.#disposed = true
    this.bytes.fill(0, tweaksAddress)
  }
}

function allocate(pageCount: number): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial: pageCount, maximum: pageCount })
  } catch (cause) {
    throw new CryptoError('memory', `cannot allocate ${pageCount * wasmPageSizeBytes} bytes`, { cause })
  }
}
