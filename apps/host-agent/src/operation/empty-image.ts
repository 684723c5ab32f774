import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { AddDisk } from '@cryptvisor/host-agent-api'
import type { Static } from 'typebox'
import { AgentError } from '../agent-error.ts'
import type { PlainImage } from '../data-path/index.ts'
import { ioError } from '../io-error.ts'
import { runTool } from '../process/tool.ts'

/** An empty image in the agent's own folder; disposing of it removes it. */
export interface EmptyImage extends AsyncDisposable {
  readonly image: PlainImage
}

/**
 * Makes an empty image: raw is a hole as large as the disk, qcow2 the metadata of a disk without data. Neither holds
 * anything of a guest. Throws AgentError `io`, `no-space`.
 */
export async function emptyImage(
  scratch: string,
  name: string,
  { format, virtualBytes }: Pick<Static<typeof AddDisk>, 'format' | 'virtualBytes'>,
): Promise<EmptyImage> {
  const path = join(scratch, name)
  const remove = () => rm(path, { force: true })
  try {
    await remove()
    const image: PlainImage = {
      kind: 'plain',
      path,
      sizeBytes: format === 'raw' ? await makeHole(path, virtualBytes) : await makeQcow2(path, virtualBytes),
    }
    return { image, [Symbol.asyncDispose]: remove }
  } catch (cause) {
    await remove()
    throw cause instanceof AgentError ? cause : ioError(`${path}: an empty image cannot be made`, cause)
  }
}

async function makeHole(path: string, sizeBytes: number): Promise<number> {
  await using file = await open(path, 'wx', 0o600)
  await file.truncate(sizeBytes)
  return sizeBytes
}

async function makeQcow2(path: string, virtualBytes: number): Promise<number> {
  const args = ['create', '-q', '-f', 'qcow2', '-o', 'compat=1.1,lazy_refcounts=off', path, String(virtualBytes)]
  const { exitCode, stderr } = await runTool('qemu-img', args)
  if (exitCode !== 0) throw new AgentError('io', `qemu-img cannot make an empty qcow2 image: ${stderr}`)
  await using file = await open(path, 'r')
  return (await file.stat()).size
}
