import assert from 'node:assert/strict'
import type { ImageSource } from '../image-source.ts'

/** An image in memory that writes down which reads were asked for, and refuses those outside. */
export class BufferSource implements ImageSource {
  readonly bytes: Uint8Array
  readonly reads: { readonly offsetBytes: number; readonly sizeBytes: number }[] = []

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  get sizeBytes(): number {
    return this.bytes.length
  }

  readAt(offsetBytes: number, target: Uint8Array): void {
    assert.ok(Number.isSafeInteger(offsetBytes) && offsetBytes >= 0 && target.length > 0)
    assert.ok(offsetBytes + target.length <= this.bytes.length, 'a read beyond the image')
    this.reads.push({ offsetBytes, sizeBytes: target.length })
    target.set(this.bytes.subarray(offsetBytes, offsetBytes + target.length))
  }
}
