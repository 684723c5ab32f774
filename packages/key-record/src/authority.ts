import { KeyRecordError } from './key-record-error.ts'
import type { RecordHeader } from './record-header.ts'
import type { ParsedRecord } from './record-text.ts'

/**
 * What the control plane says that a record must be; what lies on the datastore is a hint. Every `kid` of the record must
 * be among `kids`, and its generation at least `generationMin`.
 */
export type Authority = {
  readonly kids: readonly string[]
  readonly generationMin: number
} & (
  | { readonly kind: 'disk'; readonly layerId: string; readonly luksUuid: string }
  | { readonly kind: 'vm-home'; readonly vmId: string }
)

/** Refuses a record that is not what `expected` says, with a KeyRecordError that names the difference. */
export function checkAuthority({ header, recipients }: ParsedRecord, expected: Authority): void {
  checkSubject(header, expected)
  for (const { kid } of recipients) {
    if (!expected.kids.includes(kid)) {
      throw new KeyRecordError(
        'foreign-kid',
        `the key record names ${kid}, which the control plane does not know for it`,
      )
    }
  }
  if (header.generation < expected.generationMin) {
    throw new KeyRecordError(
      'old-generation',
      `the key record has generation ${header.generation}, older than ${expected.generationMin}: it was replaced`,
    )
  }
}

function checkSubject(header: RecordHeader, expected: Authority): void {
  if (expected.kind === 'disk' && header.kind === 'disk') {
    checkSame('other-layer', 'layer', header.layerId, expected.layerId)
    checkSame('other-luks-uuid', 'LUKS volume', header.luksUuid, expected.luksUuid)
  } else if (expected.kind === 'vm-home' && header.kind === 'vm-home') {
    checkSame('other-vm', 'VM', header.vmId, expected.vmId)
  } else {
    throw new KeyRecordError('other-kind', `the key record is of kind ${header.kind}, expected ${expected.kind}`)
  }
}

function checkSame(code: KeyRecordError['code'], what: string, found: string, wanted: string): void {
  if (found !== wanted) throw new KeyRecordError(code, `the key record belongs to ${what} ${found}, expected ${wanted}`)
}
