import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { createGzip } from 'node:zlib'
import { type BundleLimits, defaultBundleLimits } from './bundle-limits.ts'
import { type BundlePart, Document } from './bundle-part.ts'
import type { Redactor } from './redactor.ts'
import { blockBytes, paddingBytes, tarHeader } from './tar-header.ts'

/** What a bundle says of itself, besides what is in it. */
export interface BundleSubject {
  /** Such as `host`. */
  readonly kind: string
  /** Which host, which installation. */
  readonly name: string
  readonly version: string
  /** The user who took it. */
  readonly takenBy: string
  /** Epoch milliseconds. */
  readonly takenAt: number
}

interface BundledFile {
  readonly name: string
  readonly about: string
  readonly sizeBytes: number
  readonly sha256: string
  /** What of it is not there, and why; null: all of it is. */
  readonly cut: string | null
}

/** The last file of a bundle: one that lacks it is not whole. */
export const manifestName = 'manifest.json'

const none = Buffer.alloc(0)

/**
 * Writes a support bundle, a gzipped tar, as it is read: one file at a time is in memory. What fails, takes too long or is too
 * large is cut, and the manifest at the end says so; the bundle itself does not fail. Every line passes the redactor.
 */
export async function* writeBundle(
  subject: BundleSubject,
  parts: readonly BundlePart[],
  redactor: Redactor,
  limits: BundleLimits = defaultBundleLimits,
): AsyncGenerator<Buffer, void, undefined> {
  const gzip = createGzip({ level: 6 })
  const tar = Readable.from(writeTar(subject, parts, redactor, limits), { objectMode: false })
  tar.once('error', (error) => gzip.destroy(error))
  // Whoever stops reading ends what writes, too.
  gzip.once('close', () => tar.destroy())
  for await (const chunk of tar.pipe(gzip)) yield chunk as Buffer
}

async function* writeTar(
  subject: BundleSubject,
  parts: readonly BundlePart[],
  redactor: Redactor,
  limits: BundleLimits,
): AsyncGenerator<Buffer, void, undefined> {
  const files: BundledFile[] = []
  let left = limits.sizeMax
  for (const part of parts) {
    const { bytes, cut } = await contentOf(part, redactor, {
      ...limits,
      fileSizeMax: Math.min(limits.fileSizeMax, left),
    })
    left -= bytes.length
    const { name } = part
    const about = redactor.text(part.about)
    files.push({ name, about, sizeBytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex'), cut })
    yield* member(name, bytes, subject.takenAt)
  }
  const manifest = {
    format: 'cryptvisor-support-bundle',
    version: 1,
    kind: subject.kind,
    name: redactor.text(subject.name),
    productVersion: subject.version,
    takenAt: new Date(subject.takenAt).toISOString(),
    takenBy: redactor.text(subject.takenBy),
    removedCount: redactor.removedCount,
    files,
  }
  yield* member(manifestName, Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`), subject.takenAt)
  yield Buffer.alloc(2 * blockBytes)
}

function* member(name: string, bytes: Buffer, modified: number): Generator<Buffer> {
  yield tarHeader({ name, sizeBytes: bytes.length }, modified)
  if (bytes.length > 0) yield bytes
  const padding = paddingBytes(bytes.length)
  if (padding > 0) yield Buffer.alloc(padding)
}

/** As much of a part as there is within the limits. Never throws. */
async function contentOf(
  part: BundlePart,
  redactor: Redactor,
  { fileSizeMax, fileTimeMs }: BundleLimits,
): Promise<{ bytes: Buffer; cut: string | null }> {
  const chunks: Buffer[] = []
  const ending = new AbortController()
  let cut: string | null = null
  // It may go on after we stopped waiting for it, and then counts no more.
  const read = async () => {
    let sizeBytes = 0
    let lineCount = 0
    for await (const line of part.lines(ending.signal)) {
      if (ending.signal.aborted) return
      const text = line instanceof Document ? documentText(line, redactor) : lineText(line, redactor)
      const bytes = Buffer.from(`${text}\n`)
      if (sizeBytes + bytes.length > fileSizeMax) {
        cut = `it is longer than ${fileSizeMax} bytes: its first ${lineCount} lines are here`
        return
      }
      chunks.push(bytes)
      sizeBytes += bytes.length
      lineCount++
    }
  }
  const late = Promise.withResolvers<'late'>()
  const timer = setTimeout(() => late.resolve('late'), fileTimeMs)
  const reading = read()
  try {
    if ((await Promise.race([reading, late.promise])) === 'late') {
      cut = `it took longer than ${fileTimeMs} ms: what was there by then is here`
    }
  } catch (error) {
    cut = `it could not be read: ${redactor.text(error instanceof Error ? error.message : 'unknown reason')}`
  } finally {
    clearTimeout(timer)
    ending.abort()
    reading.catch(() => undefined)
  }
  return { bytes: chunks.length === 0 ? none : Buffer.concat(chunks), cut }
}

function documentText({ value }: Document, redactor: Redactor): string {
  return JSON.stringify(redactor.value(value), null, 2)
}

function lineText(line: unknown, redactor: Redactor): string {
  return typeof line === 'string' ? redactor.line(line) : JSON.stringify(redactor.value(line))
}
