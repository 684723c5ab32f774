import { closeSync, constants, fstatSync, openSync, renameSync, writeSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { connectSocket } from '@cryptvisor/qmp'
import { runFiles } from './machine-description.ts'

/** So much of a console is kept, twice: a guest may write to it without end. */
export const consoleLogSizeMax = 524_288

/**
 * Keeps the last that a guest wrote on its serial console, in `console.log` and, before that, `console.log.1` of its run folder, for their
 * owner alone. While no agent listens QEMU drops what comes. What a guest writes there is as plain as its guest makes it.
 */
export class ConsoleLog implements Disposable {
  readonly #path: string
  readonly #socket: Socket
  readonly #sizeMax: number
  #file: number
  #sizeBytes: number

  private constructor(path: string, socket: Socket, sizeMax: number) {
    this.#path = path
    this.#socket = socket
    this.#sizeMax = sizeMax
    this.#file = openLog(path)
    this.#sizeBytes = fstatSync(this.#file).size
  }

  /**
   * Listens to the console of a machine until QEMU is gone or this is disposed of; `failed` is told why nothing is kept any more. Rejects when the
   * console, or the file, cannot be opened.
   */
  static async open(
    runFolder: string,
    failed: (error: unknown) => void,
    sizeMax = consoleLogSizeMax,
  ): Promise<ConsoleLog> {
    const socket = await connectSocket(join(runFolder, runFiles.console))
    try {
      const log = new ConsoleLog(join(runFolder, runFiles.consoleLog), socket, sizeMax)
      socket.on('data', (bytes) => log.#keep(bytes, failed))
      socket.on('error', () => socket.destroy())
      socket.once('close', () => log.#close())
      return log
    } catch (error) {
      socket.destroy()
      throw error
    }
  }

  [Symbol.dispose](): void {
    this.#socket.destroy()
    this.#close()
  }

  #keep(bytes: Buffer, failed: (error: unknown) => void): void {
    if (this.#file < 0) return
    try {
      if (this.#sizeBytes + bytes.length > this.#sizeMax && this.#sizeBytes > 0) this.#turnOver()
      writeSync(this.#file, bytes)
      this.#sizeBytes += bytes.length
    } catch (error) {
      this[Symbol.dispose]()
      failed(error)
    }
  }

  #turnOver(): void {
    renameSync(this.#path, `${this.#path}.1`)
    const before = this.#file
    this.#file = openLog(this.#path)
    this.#sizeBytes = 0
    closeSync(before)
  }

  #close(): void {
    if (this.#file >= 0) closeSync(this.#file)
    this.#file = -1
  }
}

function openLog(path: string): number {
  const { O_WRONLY, O_CREAT, O_APPEND, O_NOFOLLOW } = constants
  return openSync(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0o600)
}
