/**
 * The bytes of a qcow2 image, wherever they are: a file, a block device, the payload of a LUKS volume. Reading blocks,
 * since it is done in worker threads.
 */
export interface ImageSource {
  readonly sizeBytes: number
  /** Fills `target` whole or throws. Is asked for nothing beyond `sizeBytes`; at any offset, in any length. */
  readAt(offsetBytes: number, target: Uint8Array): void
}
