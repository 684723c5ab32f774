import { type Static, Type } from 'typebox'
import { KeyReference, Time } from './names.ts'

/** A core dump that lies sealed on a host, as its header says. */
export const HostDump = Type.Object({
  name: Type.String(),
  createdAt: Time,
  process: Type.Object({ pid: Type.Integer(), command: Type.String() }),
  /** Of the sealed file. */
  sizeBytes: Type.Integer(),
  /** The host key that opens it: what the host had when it was written. */
  key: KeyReference,
})
export type HostDump = Static<typeof HostDump>
export const HostDumpList = Type.Object({ dumps: Type.Array(HostDump) })
