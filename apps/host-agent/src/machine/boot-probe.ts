const sectorBytes = 512

/** Firmware does not boot from a disk that is all too small. */
const diskBytes = 1_048_576

const code =
  'fafc31c08ed88ec08ed0bc007c66bf001000006631c066b9000c000066f3ab66c70600100320000066c7060020033000' +
  '0066bf0030000066b883000000b90002676689076605000020006683c708e2f0b011e620b020e621b004e621b001e621' +
  'b0fee621b034e643b000e640b010e64066b8200000000f22e066b8001000000f22d866b9800000c00f32660d00010000' +
  '0f300f0116287d0f20c0660d010000800f22c0eaa87c080066b810008ed88ec08ed0bf00820000b8067d0000668907c7' +
  '47020800008ec7470600000000c7470a000000000f011c252e7d000031dbfbbe00001000bf00002000b900000200f348' +
  'a531c0530fa25b83fb0a72e3b02a66ba0105eef4ebfdffc350b020e6205848cf000000000000000000000000009a2000' +
  '00000000009200001700107d00000f020080'

/** What the guest of `bootProbe` writes to the debug port when all went well: QEMU then exits with twice that and one. */
export const bootProbeExitCode = 0x2a * 2 + 1

/** The port that it writes to. */
export const bootProbePort = 0x501

/**
 * A disk whose guest does in its first milliseconds what a Linux does there and firmware does not: it goes to 64-bit mode with paging, moves
 * memory, asks what processor it has, and waits for interrupts of a timer. Assembled from `boot-probe.s`.
 */
export function bootProbe(): Buffer {
  const disk = Buffer.alloc(diskBytes)
  disk.write(code, 'hex')
  disk.writeUInt16LE(0xaa55, sectorBytes - 2)
  return disk
}
