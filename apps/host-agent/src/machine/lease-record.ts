import { join } from 'node:path'
import { shapeCheck } from '@cryptvisor/rest'
import { type Static, Type } from 'typebox'
import { AgentError } from '../agent-error.ts'
import { readAgentRecord } from '../read-agent-record.ts'
import { writeAgentFile } from '../write-agent-file.ts'

/** `lease` in a VM's run folder. It stays when the VM is off, and when it has gone elsewhere. */
const LeaseRecord = Type.Object(
  {
    version: Type.Literal(1),
    /** The highest lease that this host was ever asked to start the VM under; 0: none. */
    met: Type.Integer({ minimum: 0 }),
    /** Under this one and lower ones it was powered off, and is not started again: a call that comes late does no harm. */
    over: Type.Integer({ minimum: 0 }),
  },
  { additionalProperties: false },
)

/** The leases of a VM that this host has met. */
export type Leases = Pick<Static<typeof LeaseRecord>, 'met' | 'over'>

const leaseName = 'lease'

const problemOf = shapeCheck(LeaseRecord, leaseName)

/**
 * Reads the leases of a VM's run folder. Throws AgentError `bad-config` for what is no such file: nobody knows then whether a start is an old
 * one.
 */
export async function readLeases(runFolder: string): Promise<Leases> {
  const cure = 'If the VM runs nowhere, remove the file'
  // Just checked against the schema that the type comes from.
  const found = (await readAgentRecord(join(runFolder, leaseName), problemOf, { cure })) as Leases | null
  return { met: found?.met ?? 0, over: found?.over ?? 0 }
}

/** Puts the leases into place, durably. */
export async function writeLeases(runFolder: string, leases: Leases): Promise<void> {
  await writeAgentFile(join(runFolder, leaseName), Buffer.from(`${JSON.stringify({ version: 1, ...leases })}\n`))
}

/** Throws AgentError `lease-outdated` unless a VM may be started under `lease`. */
export function checkLease(vmName: string, lease: number, { met, over }: Leases): void {
  if (lease < met) {
    throw new AgentError(
      'lease-outdated',
      `VM ${vmName}: lease ${lease} is older than ${met}, which this host has met: somebody else may have the VM`,
    )
  }
  if (lease <= over) {
    throw new AgentError(
      'lease-outdated',
      `VM ${vmName}: it was powered off under lease ${over}; a start needs a new one`,
    )
  }
}
