import { jobStatus } from './commands/job.ts'
import { migrationStatus } from './commands/migration.ts'
import { flag, number, type Of, oneOf, optional, type Shape, structure, text } from './shape.ts'

const nothing = structure({})
/** `reason` is a word such as `guest-shutdown`, `host-qmp-quit`, `guest-reset`, `guest-panic`, `host-signal`. */
const shutdown = structure({ guest: flag, reason: text })
const panic = structure({ action: text })
const blockJob = { type: text, device: text, len: number, offset: number, speed: number }
const blockError = { device: text, operation: oneOf('read', 'write'), action: oneOf('ignore', 'report', 'stop') }
const device = structure({ device: optional(text), path: text })

const shapes = {
  SHUTDOWN: shutdown,
  POWERDOWN: nothing,
  RESET: shutdown,
  STOP: nothing,
  RESUME: nothing,
  SUSPEND: nothing,
  WAKEUP: nothing,
  WATCHDOG: structure({ action: text }),
  GUEST_PANICKED: panic,
  GUEST_CRASHLOADED: panic,
  BLOCK_IMAGE_CORRUPTED: structure({ device: text, 'node-name': optional(text), msg: text, fatal: flag }),
  BLOCK_IO_ERROR: structure({ ...blockError, 'node-name': optional(text), nospace: optional(flag), reason: text }),
  BLOCK_JOB_READY: structure(blockJob),
  BLOCK_JOB_PENDING: structure({ type: text, id: text }),
  BLOCK_JOB_COMPLETED: structure({ ...blockJob, error: optional(text) }),
  BLOCK_JOB_CANCELLED: structure(blockJob),
  BLOCK_JOB_ERROR: structure(blockError),
  BLOCK_EXPORT_DELETED: structure({ id: text }),
  JOB_STATUS_CHANGE: structure({ id: text, status: jobStatus }),
  DUMP_COMPLETED: structure({ result: structure({ status: text }), error: optional(text) }),
  MIGRATION: structure({ status: migrationStatus }),
  MIGRATION_PASS: structure({ pass: number }),
  DEVICE_DELETED: device,
  DEVICE_UNPLUG_GUEST_ERROR: device,
} as const satisfies Readonly<Record<string, Shape<unknown>>>

/** The events that we know. */
export type EventName = keyof typeof shapes

/** All names of events that we know. */
// The keys of an object of this file's own are those of its type.
export const eventNames: readonly EventName[] = Object.keys(shapes) as EventName[]

interface At {
  /** Milliseconds since 1970 by the clock of QEMU’s host; `null` where QEMU could not tell. */
  readonly atMs: number | null
}

type EachEvent = {
  [Name in EventName]: At & { readonly name: Name; readonly data: Of<(typeof shapes)[Name]> }
}[EventName]

/** An event that we know; `Name` chooses among them. */
export type KnownEvent<Name extends EventName = EventName> = Extract<EachEvent, { readonly name: Name }>

/** An event that we do not know, or one whose data are not what they should be, as it came. */
export interface UnknownEvent extends At {
  readonly name: null
  readonly unknownName: string
  readonly data: unknown
}

export type QmpEvent = KnownEvent | UnknownEvent

/** The event called `name`. */
export function eventOf(name: string, data: unknown, atMs: number | null): QmpEvent {
  if (Object.hasOwn(shapes, name)) {
    // Just looked up.
    const known = name as EventName
    // The shape was checked, and belongs to the name.
    if (shapes[known].problemIn(data, name) === null) return { name: known, data, atMs } as KnownEvent
  }
  return { name: null, unknownName: name, data, atMs }
}

/** Whether `event` is one of those called `names`. */
export function isEvent<Name extends EventName>(event: QmpEvent, names: readonly Name[]): event is KnownEvent<Name> {
  return event.name !== null && names.some((name) => name === event.name)
}
