import type { Change } from './changes.ts'
import type { Task } from './host.ts'

/** Has an operation begin at the speed that its request asks for. */
export function limitPace({ pace }: Task, change: Change): void {
  if ('bytesPerSecondMax' in change && change.bytesPerSecondMax !== undefined) pace.limit(change.bytesPerSecondMax)
}
