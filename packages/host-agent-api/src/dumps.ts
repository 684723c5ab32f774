import { type Static, Type } from 'typebox'
import { KeyReference } from './keys.ts'

/** A core dump that lies sealed on a host, as its own header says. */
export const CoreDump = Type.Object(
  {
    name: Type.String(),
    /** The host key that opens it: what the host had when it was written. */
    key: KeyReference,
    createdAt: Type.String(),
    process: Type.Object({ pid: Type.Integer(), command: Type.String() }, { additionalProperties: false }),
    fileSizeBytes: Type.Integer({ minimum: 0 }),
  },
  { additionalProperties: false },
)
export type CoreDump = Static<typeof CoreDump>

export const CoreDumps = Type.Object({ dumps: Type.Array(CoreDump) }, { additionalProperties: false })
export type CoreDumps = Static<typeof CoreDumps>
