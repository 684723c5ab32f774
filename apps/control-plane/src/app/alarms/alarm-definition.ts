import type { AlarmSeverity, EventType } from '@cryptvisor/control-plane-api'
import type { Kysely, Transaction } from 'kysely'
import type { AlarmRow } from '../../database/alarm-rows.ts'
import type { Schema } from '../../database/schema.ts'

/** An object that a condition holds for now, in words. */
export interface Standing {
  readonly object: string
  readonly text: string
}

/** What a look at the state found. Of objects in neither list the alarm is over. */
export interface StandingList {
  readonly holds: readonly Standing[]
  /** Objects of which nothing is known just now: their alarms stay as they are. */
  readonly undecided?: ReadonlySet<string>
}

/** A condition that an operator has to know of. */
export interface AlarmDefinition {
  readonly name: string
  readonly title: string
  readonly severity: AlarmSeverity
  readonly objectKind: AlarmRow['object_kind']
  readonly raisedBy: readonly EventType[]
  /** Not raised for VMs that are not in the inventory: one that could not be made has nothing to take care of. */
  readonly ofKnownVmsAlone?: true
  /** The opposite of what raises it. */
  readonly clearedBy: readonly EventType[]
  readonly advice: string
  /** Where the database itself says whether the condition holds; looked at each minute, so that no lost event matters. */
  readonly look?: (
    database: Kysely<Schema> | Transaction<Schema>,
    now: number,
    threshold: number,
  ) => Promise<StandingList>
  readonly threshold?: { readonly value: number; readonly unit: string }
}
