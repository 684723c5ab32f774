import { readFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

const traceBytesMin = 12

/**
 * Every form in which `key` could lie somewhere: raw, hexadecimal in both cases, and base64 in its three alignments
 * (with the characters that depend on neighbours cut off), in both alphabets.
 */
export function formsOf(key: Uint8Array): Buffer[] {
  if (key.length < traceBytesMin) throw new RangeError(`a key to look for has at least ${traceBytesMin} bytes`)
  const raw = Buffer.from(key)
  const forms = [raw, Buffer.from(raw.toString('hex')), Buffer.from(raw.toString('hex').toUpperCase())]
  for (const lead of [0, 1, 2]) {
    const text = Buffer.concat([Buffer.alloc(lead), raw]).toString('base64')
    const head = Math.ceil((lead * 8) / 6)
    const whole = Math.floor(((lead + raw.length) * 8) / 6)
    const core = text.slice(head, whole)
    forms.push(Buffer.from(core), Buffer.from(core.replaceAll('+', '-').replaceAll('/', '_')))
  }
  return forms
}

/** Whether any form of `key` lies in `bytes`. */
export function holdsTrace(bytes: Buffer, key: Uint8Array): boolean {
  return formsOf(key).some((form) => bytes.includes(form))
}

/** Every file below `folder`, hidden ones too (`glob` of `node:fs` passes them over), in full paths. */
export async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}

/** The files below `folder` that hold `text` as it is, in full paths. */
export async function filesWithText(folder: string, text: string): Promise<string[]> {
  return (await filesBelow(folder)).filter((path) => readFileSync(path).includes(text))
}

/** The files below `folder` that hold `key` in any form, in full paths. */
export async function filesWithTrace(folder: string, key: Uint8Array): Promise<string[]> {
  return (await filesBelow(folder)).filter((path) => holdsTrace(readFileSync(path), key))
}

/** The command line and environment of a running process, as the kernel shows them. */
export function processTraces(pid: number, key: Uint8Array): string[] {
  return ['cmdline', 'environ']
    .map((name) => `/proc/${pid}/${name}`)
    .filter((path) => holdsTrace(readFileSync(path), key))
}
