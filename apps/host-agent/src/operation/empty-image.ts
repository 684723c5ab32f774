import type { AddDisk } from '@cryptvisor/host-agent-api'
import { ThinImage } from '@cryptvisor/qcow2'
import type { Storage, StorageFolder } from '@cryptvisor/storage'
import type { Static } from 'typebox'
import { AgentError } from '../agent-error.ts'
import { type PlainImage, placeIn, writeFully } from '../data-path/index.ts'
import { ioError } from '../io-error.ts'

/** An empty image in the agent's own folder; disposing of it removes it. */
export interface EmptyImage extends AsyncDisposable {
  readonly image: PlainImage
}

/**
 * Makes an empty image: raw is a hole as large as the disk, qcow2 the metadata of a disk without data. Neither holds
 * anything of a guest. Throws AgentError `io`, `no-space`.
 */
export async function emptyImage(
  storage: Storage,
  scratch: string,
  name: string,
  { format, virtualBytes }: Pick<Static<typeof AddDisk>, 'format' | 'virtualBytes'>,
): Promise<EmptyImage> {
  await using stack = new AsyncDisposableStack()
  const folder = await storage.openFolder(scratch)
  if (folder === null) throw new AgentError('io', `${scratch}: is missing`)
  stack.use(folder)
  try {
    if ((await folder.stat(name)) !== null) await folder.removeFile(name)
    stack.defer(() => folder.removeFile(name))
    const sizeBytes =
      format === 'raw' ? await makeHole(folder, name, virtualBytes) : await makeQcow2(folder, name, virtualBytes)
    const kept = stack.move()
    return {
      image: { kind: 'plain', place: placeIn(folder, name), sizeBytes },
      [Symbol.asyncDispose]: () => kept.disposeAsync(),
    }
  } catch (cause) {
    throw cause instanceof AgentError ? cause : ioError(`${scratch}/${name}: an empty image cannot be made`, cause)
  }
}

async function makeHole(folder: StorageFolder, name: string, sizeBytes: number): Promise<number> {
  await using file = await folder.createFile(name)
  await file.truncate(sizeBytes)
  return sizeBytes
}

async function makeQcow2(folder: StorageFolder, name: string, virtualBytes: number): Promise<number> {
  const image = ThinImage.empty(virtualBytes)
  await using file = await folder.createFile(name)
  for (const piece of image.pieces()) {
    if (piece.kind === 'metadata') await writeFully(file, piece.bytes, piece.offsetBytes)
  }
  await file.truncate(image.sizeBytes)
  return image.sizeBytes
}
