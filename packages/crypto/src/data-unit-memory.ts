import { CryptoError } from './crypto-error.ts'
import { dataUnitsSizeMax } from './data-unit.ts'
import type { XtsKernelName } from './xts-kernel.ts'
import { workspaceSizeBytes, XtsWorkspace } from './xts-workspace.ts'

/** How many buffers one memory may have. */
export const bufferCountMax = 256

/** The largest memory with its workspace, in bytes: what WebAssembly addresses with 32 bits, in whole pages of its own. */
const memorySizeMax = 0xffff_0000

/** What O_DIRECT wants the address of a buffer to be a multiple of, at most, on the devices that we know. */
const alignmentBytes = 4096

/** What a DataUnitMemory should have. */
export interface DataUnitMemoryOptions {
  /** The size of each buffer in bytes, at most 64 MiB; none means 0. */
  readonly sizeBytes?: number
  /** How many buffers, at most 256; none means one. */
  readonly count?: number
  /** The arithmetic for ciphers in this memory; none means `simd` where this machine has it, else `plain`. */
  readonly kernel?: XtsKernelName
}

/**
 * Memory in which ciphers work without copying: read into one of `buffers`, encrypt or decrypt there, write it out. Each
 * buffer begins at a multiple of 4096 bytes, as O_DIRECT wants it. Several ciphers may use one memory, also one after the
 * other on the same bytes. It belongs to one thread and does not grow. Disposing of it wipes it; then its buffers hold
 * zeros and its ciphers refuse to work.
 */
export class DataUnitMemory implements Disposable {
  readonly buffers: readonly Buffer[]
  /** For the ciphers of this package only. */
  readonly workspace: XtsWorkspace

  /** Throws a CryptoError: `data-size` for impossible sizes, `memory` where the machine does not give as much. */
  constructor({ sizeBytes = 0, count = 1, kernel }: DataUnitMemoryOptions = {}) {
    if (!Number.isInteger(sizeBytes) || sizeBytes < 0 || sizeBytes > dataUnitsSizeMax) {
      throw new CryptoError('data-size', `sizeBytes is ${sizeBytes}, expected 0 to ${dataUnitsSizeMax}`)
    }
    if (!Number.isInteger(count) || count < 0 || count > bufferCountMax) {
      throw new CryptoError('data-size', `count is ${count}, expected 0 to ${bufferCountMax}`)
    }
    const distanceBytes = Math.ceil(sizeBytes / alignmentBytes) * alignmentBytes
    const totalSizeBytes = workspaceSizeBytes + count * distanceBytes
    if (totalSizeBytes > memorySizeMax) {
      throw new CryptoError('data-size', `${count} buffers of ${sizeBytes} bytes are more than one memory can have`)
    }
    this.workspace = new XtsWorkspace(totalSizeBytes, kernel)
    const { buffer } = this.workspace.bytes
    this.buffers = Array.from({ length: count }, (_, index) =>
      Buffer.from(buffer, workspaceSizeBytes + index * distanceBytes, sizeBytes),
    )
  }

  [Symbol.dispose](): void {
    this.workspace[Symbol.dispose]()
  }
}
