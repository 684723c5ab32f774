/** Of tar: headers are one block, contents are filled up to whole ones (POSIX.1-1988, ustar). */
export const blockBytes = 512

/** What eleven octal digits say. */
export const memberSizeMax = 8 ** 11 - 1

export interface TarMember {
  readonly name: string
  readonly sizeBytes: number
}

/** A header for a regular file, mode 0600, that belongs to nobody in particular. `modified` in epoch milliseconds. */
export function tarHeader({ name, sizeBytes }: TarMember, modified: number): Buffer {
  if (!/^[a-z][a-z0-9./-]{0,98}$/.test(name) || sizeBytes > memberSizeMax)
    throw new Error(`${name}: does not fit into a tar`)
  const header = Buffer.alloc(blockBytes)
  header.write(name, 0, 'latin1')
  header.write('0000600\0', 100, 'latin1')
  header.write('0000000\0', 108, 'latin1')
  header.write('0000000\0', 116, 'latin1')
  header.write(`${octal(sizeBytes, 11)}\0`, 124, 'latin1')
  header.write(`${octal(Math.floor(modified / 1000), 11)}\0`, 136, 'latin1')
  header.write('0', 156, 'latin1')
  header.write('ustar\0' + '00', 257, 'latin1')
  header.write(`${octal(checksum(header), 6)}\0 `, 148, 'latin1')
  return header
}

/** Reads a header as `tarHeader` writes them; `null` when it is another one. */
export function parseTarHeader(header: Uint8Array): TarMember | null {
  if (header.length !== blockBytes) return null
  const text = Buffer.from(header).toString('latin1')
  const name = text.slice(0, text.indexOf('\0'))
  const size = /^([0-7]{11})\0/.exec(text.slice(124))?.[1]
  const modified = /^([0-7]{11})\0/.exec(text.slice(136))?.[1]
  if (size === undefined || modified === undefined || !/^[a-z][a-z0-9./-]{0,98}$/.test(name)) return null
  const member = { name, sizeBytes: Number.parseInt(size, 8) }
  // Whatever else a header may say, ours do not.
  return tarHeader(member, Number.parseInt(modified, 8) * 1000).equals(header) ? member : null
}

/** How many zeros follow a content of that size. */
export function paddingBytes(sizeBytes: number): number {
  return (blockBytes - (sizeBytes % blockBytes)) % blockBytes
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0')
}

/** The sum of the header's bytes, its own field read as spaces. */
function checksum(header: Buffer): number {
  let sum = 0
  for (const [index, byte] of header.entries()) sum += index >= 148 && index < 156 ? 0x20 : byte
  return sum
}
