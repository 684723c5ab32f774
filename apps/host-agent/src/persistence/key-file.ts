import { createHash } from 'node:crypto'
import { rename } from 'node:fs/promises'
import { agentFiles, readAgentFile } from '../config.ts'
import { removeAgentFile, syncFolderOf, writeAgentFile } from '../write-agent-file.ts'

/** `keysHeldMax` keys with the longest names, and what is around them. */
const fileSizeMax = 128 * 1024 * 1024

/**
 * `keys.sealed`, and `keys.sealed.next` beside it for as long as it is not certain which of them the TPM's secret opens: written before
 * the TPM takes a new secret, put in place after it. Whenever the process is killed, one of the two is whole and opens.
 */
export class KeyFile {
  readonly #path: string
  readonly #nextPath: string

  constructor(folder: string) {
    this.#path = agentFiles.persistedKeys(folder)
    this.#nextPath = `${this.#path}.next`
  }

  /** What may be the file, the likelier one first; empty: there is none. Throws what reading throws. */
  async candidates(): Promise<Buffer[]> {
    const found = [await readAgentFile(this.#path, fileSizeMax), await readAgentFile(this.#nextPath, fileSizeMax)]
    return found.filter((bytes) => bytes !== null)
  }

  /** Puts other bytes in its place, which the same secret opens. */
  async replace(bytes: Uint8Array): Promise<void> {
    await writeAgentFile(this.#path, bytes)
  }

  /** Lays down what a new secret will open. */
  async stage(bytes: Uint8Array): Promise<void> {
    await writeAgentFile(this.#nextPath, bytes)
  }

  /** The new secret is in force. */
  async promote(): Promise<void> {
    await rename(this.#nextPath, this.#path)
    await syncFolderOf(this.#path)
  }

  /** Leaves an empty file: the keys are gone from the disk, and the TPM has yet to forget its secret. */
  async empty(): Promise<void> {
    await writeAgentFile(this.#path, new Uint8Array())
    await removeAgentFile(this.#nextPath)
  }

  async remove(): Promise<void> {
    await removeAgentFile(this.#nextPath)
    await removeAgentFile(this.#path)
  }
}

/** Where the TPM keeps this host's secret: one of the 2^22 NV indices of TPMs' owners (0x01800000 to 0x01bfffff). */
export function nvIndexOf(hostId: string): number {
  const digest = createHash('sha256').update(`cryptvisor persisted keys ${hostId}`).digest()
  return 0x01800000 + (digest.readUInt32BE(0) & 0x3fffff)
}
