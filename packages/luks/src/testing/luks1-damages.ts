import { iterationsMax, payloadOffsetMaxBytes } from '../header-layout.ts'
import type { LuksErrorCode } from '../luks-error.ts'
import { type Damage, inPlace } from './damage.ts'

const slot = (index: number) => 208 + 48 * index

/** Faults of a LUKS1 header made by us, each with the code that it is refused with. */
export const luks1Faults: Readonly<Record<string, readonly [code: LuksErrorCode, damage: Damage]>> = {
  'first byte of the magic': ['bad-magic', inPlace((header) => header.writeUInt8(0x4d, 0))],
  'last byte of the magic': ['bad-magic', inPlace((header) => header.writeUInt8(0xbf, 5))],
  'nothing but zeros': ['bad-magic', inPlace((header) => header.fill(0))],
  'cut in the magic': ['truncated', (header) => header.subarray(0, 5)],
  'cut one byte before the end of the fields': ['truncated', (header) => header.subarray(0, 591)],
  'version 0': ['unsupported-version', inPlace((header) => header.writeUInt16BE(0, 6))],
  'version 2': ['unsupported-version', inPlace((header) => header.writeUInt16BE(2, 6))],
  'another cipher': ['unsupported-cipher', inPlace((header) => header.write('serpent', 8))],
  'cipher that only begins with aes': ['unsupported-cipher', inPlace((header) => header.write('aesx', 8))],
  'another mode': ['unsupported-cipher', inPlace((header) => header.fill(0, 40, 72).write('ecb', 40))],
  'plain instead of plain64': ['unsupported-cipher', inPlace((header) => header.fill(0, 49, 52))],
  'no cipher': ['bad-text', inPlace((header) => header.fill(0, 8, 40))],
  'cipher without a zero at its end': ['bad-text', inPlace((header) => header.fill('a', 8, 40))],
  'text after the zero of the cipher': ['bad-text', inPlace((header) => header.write('x', 20))],
  'line feed in the mode': ['bad-text', inPlace((header) => header.writeUInt8(10, 43))],
  'another hash': ['unsupported-hash', inPlace((header) => header.fill(0, 72, 104).write('whirlpool', 72))],
  'hash in capitals': ['unsupported-hash', inPlace((header) => header.write('SHA256', 72))],
  'payload offset 0': ['bad-payload-offset', inPlace((header) => header.writeUInt32BE(0, 104))],
  'payload inside the fields': ['bad-payload-offset', inPlace((header) => header.writeUInt32BE(1, 104))],
  'payload beyond the limit': [
    'bad-payload-offset',
    inPlace((header) => header.writeUInt32BE(payloadOffsetMaxBytes / 512 + 1, 104)),
  ],
  'payload inside the key material': ['slot-out-of-range', inPlace((header) => header.writeUInt32BE(4000, 104))],
  'key of 48 bytes': ['bad-key-size', inPlace((header) => header.writeUInt32BE(48, 108))],
  'key of 0 bytes': ['bad-key-size', inPlace((header) => header.writeUInt32BE(0, 108))],
  'key of 4 GiB': ['bad-key-size', inPlace((header) => header.writeUInt32BE(0xffff_ffff, 108))],
  'no digest iterations': ['bad-iterations', inPlace((header) => header.writeUInt32BE(0, 164))],
  'too many digest iterations': ['bad-iterations', inPlace((header) => header.writeUInt32BE(iterationsMax + 1, 164))],
  'empty UUID': ['bad-text', inPlace((header) => header.fill(0, 168, 208))],
  'UUID with one digit less': ['bad-uuid', inPlace((header) => header.fill(0, 203, 204))],
  'UUID with a letter that is no digit': ['bad-uuid', inPlace((header) => header.write('g', 168))],
  'first slot neither enabled nor disabled': ['bad-slot-state', inPlace((header) => header.writeUInt32BE(1, slot(0)))],
  'last slot neither enabled nor disabled': ['bad-slot-state', inPlace((header) => header.writeUInt32BE(0, slot(7)))],
  'no iterations in the active slot': ['bad-iterations', inPlace((header) => header.writeUInt32BE(0, slot(0) + 4))],
  'too many iterations': ['bad-iterations', inPlace((header) => header.writeUInt32BE(iterationsMax + 1, slot(0) + 4))],
  'no stripes': ['bad-stripes', inPlace((header) => header.writeUInt32BE(0, slot(0) + 44))],
  'other stripes in a disabled slot': ['bad-stripes', inPlace((header) => header.writeUInt32BE(4001, slot(5) + 44))],
  'key material over the fields': ['slot-out-of-range', inPlace((header) => header.writeUInt32BE(1, slot(0) + 40))],
  'key material at 0 in a disabled slot': [
    'slot-out-of-range',
    inPlace((header) => header.writeUInt32BE(0, slot(3) + 40)),
  ],
  'key material into the payload': ['slot-out-of-range', inPlace((header) => header.writeUInt32BE(3597, slot(7) + 40))],
  'key material beyond 2 TiB': [
    'slot-out-of-range',
    inPlace((header) => header.writeUInt32BE(0xffff_ffff, slot(7) + 40)),
  ],
  'one sector of overlap': ['slots-overlap', inPlace((header) => header.writeUInt32BE(507, slot(1) + 40))],
  'two slots at one place': ['slots-overlap', inPlace((header) => header.writeUInt32BE(8, slot(6) + 40))],
}
