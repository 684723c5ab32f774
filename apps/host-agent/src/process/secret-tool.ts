import { spawn } from 'node:child_process'
import type { Writable } from 'node:stream'
import { Secret, secretBytes } from '@cryptvisor/secret'
import { toolEnvironment } from './tool.ts'

const errorTextSizeMax = 4096

/** What goes into a tool, and what may come out of it. */
export interface SecretToolOptions {
  /** On standard input; `null`: nothing. */
  readonly input: Secret | null
  /** More than this is a fault. */
  readonly outputSizeMax: number
  readonly timeoutMs?: number
}

/** How it ended; `output` is what it printed, the caller's to dispose of. `exitCode` is `null` when it did not start, was ended, or printed too much. */
export interface SecretToolResult extends Disposable {
  readonly exitCode: number | null
  readonly output: Secret
  readonly errorText: string
}

/** Runs a system tool that takes or gives a secret: by pipes only, and what came through them is wiped. Never rejects. */
export async function runSecretTool(
  command: string,
  args: readonly string[],
  { input, outputSizeMax, timeoutMs = 60_000 }: SecretToolOptions,
): Promise<SecretToolResult> {
  const child = spawn(command, args, { stdio: 'pipe', env: toolEnvironment, timeout: timeoutMs, killSignal: 'SIGKILL' })
  const { promise, resolve } = Promise.withResolvers<{ exitCode: number | null; failure: string }>()
  child.once('error', ({ message }) => resolve({ exitCode: null, failure: message }))
  child.once('close', (exitCode, signal) => resolve({ exitCode, failure: signal === null ? '' : `ended by ${signal}` }))
  const buffer = secretBytes(outputSizeMax)
  let size = 0
  let isTooLong = false
  child.stdout.on('data', (chunk: Buffer) => {
    if (size + chunk.length > outputSizeMax) isTooLong = true
    else buffer.set(chunk, size)
    if (!isTooLong) size += chunk.length
    chunk.fill(0)
  })
  let errorText = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (errorText.length < errorTextSizeMax) errorText += text
  })
  const sent = giveTo(child.stdin, input)
  const { exitCode, failure } = await promise
  // A tool that ended without reading its input leaves nobody to write to.
  child.stdin.destroy()
  await sent
  const output = Secret.from(buffer.subarray(0, size))
  buffer.fill(0)
  return {
    exitCode: isTooLong ? null : exitCode,
    output,
    errorText: [errorText.trim(), failure, isTooLong ? 'it printed too much' : '']
      .filter((text) => text !== '')
      .join('; '),
    [Symbol.dispose]: () => output[Symbol.dispose](),
  }
}

/** Resolves when the tool has it, or is gone: the bytes are lent until then. */
async function giveTo(stdin: Writable, input: Secret | null): Promise<void> {
  // The tool may end before it has read all; how it ended says why.
  stdin.on('error', () => undefined)
  if (input === null) {
    stdin.end()
    return
  }
  await input.expose(async (bytes) => {
    const closed = new Promise<void>((resolve) => stdin.once('close', () => resolve()))
    stdin.end(bytes)
    await closed
  })
}
