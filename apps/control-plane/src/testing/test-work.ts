import type { MachineReport } from '@cryptvisor/host-agent-api'
import type { HostConnection, HostObserver, Principal } from '../app/ports.ts'
import type { HostRow } from '../database/schema.ts'

/** Stands where the work half stands, and keeps what it was told. */
export class TestWork implements HostObserver {
  readonly told: string[] = []
  /** Called with each connection. */
  onConnected: (host: HostRow, connection: HostConnection) => Promise<void> = async () => {}
  /** Thrown when somebody wants to remove a host or a provider. */
  refusal: Error | null = null
  /** Takes a host out. */
  removing: (host: HostRow, by: Principal) => Promise<void> = async () => {}

  async start(): Promise<void> {
    this.told.push('start')
  }

  async stop(): Promise<void> {
    this.told.push('stop')
  }

  async hostConnected(host: HostRow, connection: HostConnection): Promise<void> {
    this.told.push(`connected ${host.name} ${connection.bootId}`)
    await this.onConnected(host, connection)
  }

  async hostDisconnected(host: HostRow): Promise<void> {
    this.told.push(`disconnected ${host.name}`)
  }

  async machinesReported(host: HostRow, _connection: HostConnection, { machines }: MachineReport): Promise<void> {
    this.told.push(`${host.name} has ${machines.length} machines`)
  }

  async removeHost(host: HostRow, by: Principal): Promise<void> {
    this.told.push(`removing host ${host.name}`)
    if (this.refusal !== null) throw this.refusal
    await this.removing(host, by)
  }

  async policyChanged(name: string): Promise<void> {
    this.told.push(`policy ${name} changed`)
  }

  async checkProviderRemoval(provider: string): Promise<void> {
    this.told.push(`removing provider ${provider}`)
    if (this.refusal !== null) throw this.refusal
  }
}
