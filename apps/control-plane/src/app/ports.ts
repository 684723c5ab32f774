import type { EventType, Privilege } from '@cryptvisor/control-plane-api'
import type { HostAgentClient, MachineReport } from '@cryptvisor/host-agent-api'
import type { KeyProvider } from '@cryptvisor/key-provider'
import type { Transaction } from 'kysely'
import type { HostRow, Schema } from '../database/schema.ts'
import type { InventoryObject, ObjectPath } from './inventory/inventory-object.ts'

/*
 * The seams between the two halves of the control plane: the platform (users, hosts, providers, events) and the work
 * (tasks, VMs, keys). Each is built once in `main.ts` and passed to whoever needs it.
 */

/** Who asks. A service of our own, such as the catching up of a host, is `system`. */
export interface Principal {
  readonly name: string
  /** At the root. */
  readonly privileges: ReadonlySet<Privilege>
  /** Whether they have a privilege on an object, by a permission on it or on what it lies in. */
  can(privilege: Privilege, on: ObjectPath): boolean
  /** The objects on which there is a permission of theirs. */
  readonly grantedOn: readonly Pick<InventoryObject, 'kind' | 'id'>[]
}

export interface NewEvent {
  readonly type: EventType
  /** Names, not IDs. */
  readonly host?: string | null
  readonly vm?: string | null
  readonly provider?: string | null
  readonly keyId?: string | null
  /** The notification target that it is about; for its alarm only. */
  readonly notification?: string | null
  /** In full: what happened, to what, and what to do. */
  readonly text: string
  readonly user?: string | null
  readonly task?: string | null
}

/** Records events and tells whoever listens. */
export interface Events {
  record(event: NewEvent): Promise<void>
  /** Runs `work` in a transaction; what it records is there when the rest is, or neither is. */
  transaction<Result>(
    work: (transaction: Transaction<Schema>, record: Events['record']) => Promise<Result>,
  ): Promise<Result>
}

/** The key providers that are set up. */
export interface KeyProviders {
  /** The provider of that name; throws `ControlPlaneError` `not-found`. */
  get(name: string): Promise<KeyProvider>
  /** It could not be reached just now: its health is looked at soon. */
  troubled?(name: string): void
}

/** A live session of one host's agent. */
export interface HostConnection {
  readonly hostId: string
  readonly bootId: string
  readonly client: HostAgentClient
  readonly cryptoSupported: boolean
}

/** The hosts that are connected now. */
export interface HostConnections {
  /** `null`: not connected. */
  get(hostId: string): HostConnection | null
  /** Waits until the host is connected, or `signal` fires (then it throws its reason). */
  waitFor(hostId: string, signal: AbortSignal): Promise<HostConnection>
  /** Ends the session of a host, if there is one. */
  end(hostId: string, reason: string): void
}

/**
 * The work's side of a host's coming and going; the platform calls it. Calls for one host may overlap: a host that goes
 * and comes again does not wait for what `hostConnected` still does, so whoever writes down what they found checks first
 * that `HostConnections.get` still gives the connection they found it by.
 */
export interface HostObserver {
  /** A new session began: hand over the cluster's keys, take up or end the host's open tasks, unlock its VMs. */
  hostConnected(host: HostRow, connection: HostConnection): Promise<void>
  /** The session ended: its VMs are `unknown` now. */
  hostDisconnected(host: HostRow): Promise<void>
  /** What the host says of all its machines, in the session of `connection`. */
  machinesReported(host: HostRow, connection: HostConnection, report: MachineReport): Promise<void>
  /**
   * Takes a host out of the inventory and has it forget its KEKs; settles when it has confirmed that, or did not in time, and
   * its session is over. Throws `in-use` while VMs are on it.
   */
  removeHost(host: HostRow, by: Principal): Promise<void>
  /** Throws `in-use` while a VM or a host uses a key of the provider. */
  checkProviderRemoval(provider: string): Promise<void>
  /** The rules of a storage policy are other ones now. */
  policyChanged(name: string): Promise<void>
}
