import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { type BenchImage, type BenchImages, mib } from './images.ts'
import { run } from './measure.ts'

/** Seconds that `qemu-img convert` takes between two images that are there. Its defaults: no other settings are faster. */
export function qemuImg(images: BenchImages, source: BenchImage, target: BenchImage, direct = false): number {
  return run('qemu-img', [
    ...['convert', '-n', '--object', `secret,id=key,file=${images.passphraseFile}`],
    ...(direct ? ['-T', 'none', '-t', 'none'] : []),
    ...['--image-opts', '--target-image-opts', nodeOf(source), nodeOf(target)],
  ])
}

function nodeOf({ kind, path }: BenchImage): string {
  const file = `file.driver=file,file.filename=${path}`
  return kind === 'plain' ? `driver=raw,${file}` : `driver=luks,key-secret=key,${file}`
}

/** Seconds of a plain copy past the page cache, written out at its end. */
export function directCopy(source: BenchImage, target: BenchImage): number {
  return run('dd', [
    ...[`if=${source.path}`, `of=${target.path}`, 'bs=4M', 'iflag=direct', 'oflag=direct'],
    ...['conv=notrunc,fsync', 'status=none'],
  ])
}

/** What `cryptsetup` moves the data by, to have room for its header. */
const shiftMib = 32

/** Seconds that `cryptsetup reencrypt` takes to encrypt a file in place, with a header that costs no PBKDF2 to speak of. */
export function reencrypt({ plainTarget, passphraseFile }: BenchImages): number {
  unmake(plainTarget.path)
  return run('cryptsetup', [
    ...['reencrypt', '--encrypt', '--type', 'luks2', '--batch-mode', '--reduce-device-size', `${shiftMib}M`],
    ...['--cipher', 'aes-xts-plain64', '--key-size', '512', '--sector-size', '512'],
    ...['--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000', '--resilience', 'none'],
    ...['--key-file', passphraseFile, plainTarget.path],
  ])
}

/** Overwrites the headers of an earlier round; what is encrypted is random anyway. */
function unmake(path: string): void {
  const file = openSync(path, 'r+')
  const chunk = Buffer.alloc(mib)
  readSync(file, chunk, 0, mib, shiftMib * mib)
  for (let at = 0; at < shiftMib; at++) writeSync(file, chunk, 0, mib, at * mib)
  closeSync(file)
}
