import type { AuditRecord, Event } from '@cryptvisor/control-plane-api'
import type { AuditLog } from '../audit/audit-log.ts'
import { atLeast, type EventLog } from '../events.ts'
import type { Item } from './sender.ts'

/** What a target wants. */
export interface Filter {
  readonly source: 'events' | 'audit'
  readonly severity: Item['severity']
  /** Empty: all; `vm.*` stands for all that begin so. */
  readonly types: readonly string[]
}

/** So many are read at once. */
const itemsPerPage = 500

/** A page of what comes after `cursor`: what the filter lets through, and where the page ends. `null`: there is nothing. */
export async function nextItems(
  events: EventLog,
  audit: AuditLog,
  installation: string,
  filter: Filter,
  cursor: number,
): Promise<{ readonly items: readonly Item[]; readonly through: number } | null> {
  const page = { after: cursor, limit: itemsPerPage }
  const all =
    filter.source === 'events'
      ? (await events.list(page)).map((event) => eventItem(event, installation))
      : (await audit.list(page)).map((record) => auditItem(record, installation))
  const last = all.at(-1)
  if (last === undefined) return null
  return { items: all.filter((item) => isWanted(item, filter)), through: last.number }
}

/** An event that is not recorded, to try a target with. */
export function testItem(source: Item['source'], installation: string, time: string, nonce: string): Item {
  const text = 'This is a test of Cryptvisor’s notifications'
  return {
    number: 0,
    id: `${installation}/test/${nonce}`,
    source,
    type: 'notification.test',
    severity: 'info',
    time,
    text,
    about: {},
    body: { type: 'notification.test', time, text },
  }
}

export function isWanted({ type, severity }: Pick<Item, 'type' | 'severity'>, filter: Filter): boolean {
  if (!atLeast(filter.severity).includes(severity)) return false
  return (
    filter.types.length === 0 ||
    filter.types.some((wanted) => (wanted.endsWith('.*') ? type.startsWith(wanted.slice(0, -1)) : type === wanted))
  )
}

function eventItem(event: Event, installation: string): Item {
  const { id, type, severity, time, text, host, vm, provider, keyId, user, task } = event
  const about = present({ host, vm, provider, keyId, user, task })
  return {
    number: id,
    id: `${installation}/event/${id}`,
    source: 'events',
    type,
    severity,
    time,
    text,
    about,
    body: event,
  }
}

function auditItem(record: AuditRecord, installation: string): Item {
  const { position, kind, time, user, address, operation, object, outcome } = record
  return {
    number: position,
    id: `${installation}/audit/${position}`,
    source: 'audit',
    type: kind,
    severity: outcome === 'success' ? 'info' : 'warning',
    time,
    text: `${user} ${operation} ${object}: ${outcome}`,
    about: present({ user, address, outcome }),
    body: record,
  }
}

function present(names: Readonly<Record<string, string | null>>): Record<string, string> {
  return Object.fromEntries(Object.entries(names).filter((entry): entry is [string, string] => entry[1] !== null))
}
