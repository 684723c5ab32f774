/** What images of other formats than raw begin with, by the formats' own descriptions. */
const magics: readonly (readonly [format: string, magic: Buffer])[] = [
  ['qcow2', Buffer.from('QFI\xfb', 'latin1')],
  ['LUKS', Buffer.from('LUKS\xba\xbe', 'latin1')],
  ['VMDK', Buffer.from('KDMV', 'latin1')],
  ['VMDK', Buffer.from('COWD', 'latin1')],
  ['VMDK', Buffer.from('# Disk DescriptorFile', 'latin1')],
  ['VHDX', Buffer.from('vhdxfile', 'latin1')],
  ['VHD', Buffer.from('conectix', 'latin1')],
]

/** The format whose magic `head` begins with; `null` for none, which says nothing: a raw disk may begin with anything. */
export function formatOfContent(head: Uint8Array): string | null {
  return magics.find(([, magic]) => magic.equals(head.subarray(0, magic.length)))?.[0] ?? null
}
