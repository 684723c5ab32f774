/** Formats whose beginning tells them; QEMU would take a file that begins so for one of them if it were left to guess. */
export type ImageMagic =
  | 'qcow'
  | 'qcow2'
  | 'luks'
  | 'vmdk'
  | 'vhdx'
  | 'vpc'
  | 'vdi'
  | 'qed'
  | 'parallels'
  | 'bochs'
  | 'cloop'
  | 'dmg'

const magics: readonly { readonly name: ImageMagic; readonly offset: number; readonly bytes: Buffer }[] = [
  magic('qcow2', 'QFI\xfb\0\0\0\x02'),
  magic('qcow2', 'QFI\xfb\0\0\0\x03'),
  magic('qcow', 'QFI\xfb'),
  magic('luks', 'LUKS\xba\xbe'),
  magic('luks', 'SKUL\xba\xbe', 16_384),
  magic('vmdk', 'KDMV'),
  magic('vmdk', 'COWD'),
  magic('vmdk', '# Disk DescriptorFile'),
  magic('vhdx', 'vhdxfile'),
  magic('vpc', 'conectix'),
  magic('vdi', '\x7f\x10\xda\xbe', 64),
  magic('qed', 'QED\0'),
  magic('parallels', 'WithoutFreeSpace'),
  magic('parallels', 'WithouFreSpacExt'),
  magic('bochs', 'Bochs Virtual HD Image'),
  magic('cloop', '#!/bin/sh\n#V2.0 Format\n'),
  magic('dmg', 'koly'),
]

/** How much of a file's beginning `holdsFormatMagic` looks at. */
export const magicAreaSizeBytes = 16_390

/**
 * The image format whose magic `bytes`, the beginning of a file, hold; null for none. Never a reason to treat the file as
 * that format: a guest can write any of these into its raw disk. It is a reason to insist that the caller names the format.
 */
export function holdsFormatMagic(bytes: Uint8Array): ImageMagic | null {
  const found = magics.find(({ offset, bytes: wanted }) =>
    wanted.equals(bytes.subarray(offset, offset + wanted.length)),
  )
  return found?.name ?? null
}

function magic(name: ImageMagic, text: string, offset = 0) {
  return { name, offset, bytes: Buffer.from(text, 'latin1') }
}
