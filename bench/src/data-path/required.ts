/** What a figure has to be, by its name: at least, or for those of time and memory at most. */
export interface Required {
  readonly is: 'at least' | 'at most'
  readonly value: number
  readonly what: string
}

const atLeast = (value: number, what: string): Required => ({ is: 'at least', value, what })
const atMost = (value: number, what: string): Required => ({ is: 'at most', value, what })

/** The figures that the data path has to reach, on two cores with VAES-512 and nothing else to do. */
export const requiredFigures = {
  'engine-1': atLeast(
    0.9,
    'XTS in units of 512 bytes, 1 thread, of `openssl speed -evp aes-256-xts` (16 KiB, 1 process)',
  ),
  'engine-2': atLeast(1.7, 'the same with 2 threads'),
  'encrypt-1': atLeast(5, 'encryption in tmpfs, 1 thread, times `qemu-img convert`'),
  'encrypt-2': atLeast(7.5, 'the same with 2 threads'),
  'decrypt-1': atLeast(4.3, 'decryption in tmpfs, 1 thread, times `qemu-img convert`'),
  'decrypt-2': atLeast(6.4, 'the same with 2 threads'),
  'rekey-2': atLeast(8, 'deep rekey in tmpfs, 2 threads, times `qemu-img convert` LUKS to LUKS'),
  'copy-2': atLeast(0.9, 'encryption in tmpfs, 2 threads, of `qemu-img convert` raw to raw'),
  'device-2': atLeast(0.95, 'encryption on the disk past the page cache, 2 threads, of a plain copy (`dd`)'),
  'verify-cost': atMost(2, 'time with verification, of time without'),
  'memory-mib': atMost(300, 'resident memory of the agent at its peak, in MiB'),
  'unlock-ms': atMost(15, 'opening one disk, in milliseconds'),
} as const satisfies Readonly<Record<string, Required>>

export type RequiredName = keyof typeof requiredFigures

/** Whether a figure is what it has to be. */
export function isReached({ is, value }: Required, figure: number): boolean {
  return is === 'at least' ? figure >= value : figure <= value
}
