import { join } from 'node:path'
import { MachineStatus, VmAuthority } from '@cryptvisor/host-agent-api'
import { shapeCheck } from '@cryptvisor/rest'
import { type Static, Type } from 'typebox'
import { readAgentRecord } from '../read-agent-record.ts'
import { removeAgentFile, writeAgentFile } from '../write-agent-file.ts'

/**
 * `machine.json` in a VM's run folder: the last start of the VM here, for whoever finds its QEMU again, or the end of it. Names and IDs, no
 * keys.
 */
export const MachineRecord = Type.Object(
  {
    version: Type.Literal(1),
    /** The VM as it was started; `null` where that was lost. */
    vm: Type.Union([VmAuthority, Type.Null()]),
    /** Its end was asked for: when there is no QEMU any more, that is why. */
    ending: Type.Union([Type.Literal('asked'), Type.Literal('guest'), Type.Null()]),
    status: MachineStatus,
  },
  { additionalProperties: false },
)
export type MachineRecord = Static<typeof MachineRecord>

const recordName = 'machine.json'

/** A VM with 64 disks takes less. */
const recordSizeMax = 524_288

const problemOf = shapeCheck(MachineRecord, recordName)

/** Reads the record of a run folder; `null` when there is none. Throws AgentError `bad-config` for what is no record. */
export async function readMachineRecord(runFolder: string): Promise<MachineRecord | null> {
  const found = await readAgentRecord(join(runFolder, recordName), problemOf, { sizeMax: recordSizeMax })
  // Just checked against the schema that the type comes from.
  return found as MachineRecord | null
}

/** Puts the record into place, durably. */
export async function writeMachineRecord(runFolder: string, record: MachineRecord): Promise<void> {
  await writeAgentFile(join(runFolder, recordName), Buffer.from(`${JSON.stringify(record)}\n`))
}

/** Removes the record, durably; fine when there is none. */
export async function removeMachineRecord(runFolder: string): Promise<void> {
  await removeAgentFile(join(runFolder, recordName))
}
