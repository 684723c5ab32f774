import { type Static, Type } from 'typebox'
import { KeyPersistence } from './key-persistence.ts'
import { KeyReference } from './keys.ts'

/** vSphere's words: `incapable` cannot take keys, `prepared` can, `safe` holds its host key. */
export const CryptoState = Type.Union([Type.Literal('incapable'), Type.Literal('prepared'), Type.Literal('safe')])
export type CryptoState = Static<typeof CryptoState>

/** How well the agent's key memory is guarded on this machine (docs/threat-model.md). */
export const KeyMemory = Type.Object(
  { swap: Type.Boolean({ description: 'Whether the agent could be swapped out' }), coreDumps: Type.Boolean() },
  { additionalProperties: false },
)

const Version = Type.Union([Type.String(), Type.Null()])

export const HostStatus = Type.Object(
  {
    hostId: Type.String(),
    name: Type.String(),
    /** New at each start of the agent. */
    bootId: Type.String(),
    hardwareUuid: Type.String(),
    version: Type.String(),
    cryptoState: CryptoState,
    hostKey: Type.Union([KeyReference, Type.Null()]),
    keysHeldCount: Type.Integer({ minimum: 0 }),
    keyMemory: KeyMemory,
    keyPersistence: KeyPersistence,
    /** The versions of QEMU's tools and of QEMU; `null`: it is not installed. */
    tools: Type.Object({ qemuImg: Version, qemuSystem: Version }, { additionalProperties: false }),
  },
  { additionalProperties: false },
)
export type HostStatus = Static<typeof HostStatus>
