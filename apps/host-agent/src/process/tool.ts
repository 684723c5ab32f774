import { spawn } from 'node:child_process'
import type { Readable } from 'node:stream'

/** Tools come from the system's folders, whatever the agent's own environment says. */
export const toolEnvironment = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' }

const outputSizeMax = 65_536

/** How a tool ended. `exitCode` is `null` when it could not be started, or was ended by a signal. */
export interface ToolResult {
  readonly exitCode: number | null
  readonly stdout: string
  /** What it said, or why it did not start. */
  readonly stderr: string
}

/**
 * Runs a system tool to its end, with an argument array, no shell and a small environment of its own; `fd` becomes its
 * descriptor 3. Never rejects: how it ended is in the result.
 */
export async function runTool(
  command: string,
  args: readonly string[],
  { fd, timeoutMs = 60_000 }: { readonly fd?: number; readonly timeoutMs?: number } = {},
): Promise<ToolResult> {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe', ...(fd === undefined ? [] : [fd])],
    env: toolEnvironment,
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  })
  const { promise, resolve } = Promise.withResolvers<{ exitCode: number | null; failure: string }>()
  child.once('error', ({ message }) => resolve({ exitCode: null, failure: message }))
  child.once('close', (exitCode, signal) => resolve({ exitCode, failure: signal === null ? '' : `ended by ${signal}` }))
  const [{ exitCode, failure }, stdout, stderr] = await Promise.all([
    promise,
    textOf(child.stdout),
    textOf(child.stderr),
  ])
  return { exitCode, stdout, stderr: [stderr.trim(), failure].filter((text) => text !== '').join('; ') }
}

/** What a tool printed, up to a limit; the rest is read and dropped. */
async function textOf(output: Readable | null): Promise<string> {
  let text = ''
  if (output === null) return text
  for await (const chunk of output.setEncoding('utf8')) {
    if (text.length < outputSizeMax) text += String(chunk)
  }
  return text.slice(0, outputSizeMax)
}
