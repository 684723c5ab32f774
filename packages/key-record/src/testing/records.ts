import { Secret } from '@cryptvisor/secret'
import type { Authority } from '../authority.ts'
import type { NamedKek } from '../key-record.ts'
import type { DiskRecordHeader, VmHomeRecordHeader } from '../record-header.ts'

/** A valid disk header for tests. */
export const diskHeader: DiskRecordHeader = {
  kind: 'disk',
  layerId: '018f2f6a-0000-7000-8000-000000000001',
  luksUuid: '0f4c5a3e-3b7d-4c55-9f0f-1a2b3c4d5e6f',
  generation: 5,
  cipher: 'aes-xts-plain64',
  payloadOffsetBytes: 2_097_152,
  payloadFormat: 'raw',
  payloadSizeBytes: 1_000_001,
}

/** A valid VM Home header for tests. */
export const homeHeader: VmHomeRecordHeader = {
  kind: 'vm-home',
  vmId: '018f2f6a-0000-7000-8000-000000000002',
  generation: 1,
}

/** What the control plane knows of `diskHeader`. */
export const diskAuthority: Authority & { readonly kind: 'disk' } = {
  kind: 'disk',
  layerId: diskHeader.layerId,
  luksUuid: diskHeader.luksUuid,
  kids: ['kms/1', 'kms/2'],
  generationMin: 5,
}

/** A random KEK under a name. */
export function namedKek(kid: string): NamedKek {
  return { kid, kek: Secret.random(32) }
}

/** Makes the same change to the protected header of a record and to nothing else. */
export function withProtected(record: string, change: (header: Record<string, unknown>) => void): string {
  return changed(record, (jwe) => {
    const header = JSON.parse(Buffer.from(String(jwe['protected']), 'base64url').toString()) as Record<string, unknown>
    change(header)
    jwe['protected'] = Buffer.from(JSON.stringify(header)).toString('base64url')
  })
}

/** Changes the JWE of a record. */
export function changed(record: string, change: (jwe: Record<string, unknown>) => void): string {
  const jwe = JSON.parse(record) as Record<string, unknown>
  change(jwe)
  return JSON.stringify(jwe)
}
