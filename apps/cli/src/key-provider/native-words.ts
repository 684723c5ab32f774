import type { KeyProvider, NativeProvider, WrappingKey } from '@cryptvisor/control-plane-api'
import { formatTime } from '../quantity.ts'
import { sheet, table } from '../table.ts'

const timeOf = (time: string | null) => (time === null ? null : formatTime(time))

/** What `key-provider show` says of derivation keys and wrapping keys. */
export function keySheets({ native, wrapping }: Pick<KeyProvider, 'native' | 'wrapping'>): string[] {
  return [...(native === null ? [] : ['\n', nativeSheet(native)]), '\n', wrappingSheet(wrapping)]
}

function nativeSheet({ generation, restoredAt, generations }: NativeProvider): string {
  const rows = generations.map((one) => [
    String(one.generation),
    one.generation === generation ? 'yes' : 'no',
    formatTime(one.createdAt),
    timeOf(one.backedUpAt) ?? 'not backed up',
    String(one.keyCount),
  ])
  const restored = restoredAt === null ? '' : `${sheet([['restored', formatTime(restoredAt)]])}\n`
  return restored + table(['GENERATION', 'IN USE', 'MADE', 'BACKED UP', 'KEYS'], rows)
}

function wrappingSheet(wrapping: WrappingKey | null): string {
  if (wrapping === null) return sheet([['key type', 'raw: each VM has a key of its own']])
  const { keyId, since, rotationDays, nextRotationAt } = wrapping
  return sheet([
    ['key type', 'wrapped: many VMs share a wrapping key'],
    ['wrapping key', keyId ?? 'none yet: it is made when it is needed'],
    ['age', since === null ? null : `since ${formatTime(since)}, ${daysSince(since)} days`],
    ['rotation', rotationDays === null ? 'none: the key was chosen' : `every ${rotationDays} days`],
    ['next rotation', timeOf(nextRotationAt)],
  ])
}

function daysSince(time: string): number {
  return Math.max(0, Math.floor((Date.now() - Date.parse(time)) / 86_400_000))
}
