import { type Static, Type } from 'typebox'
import { Nullable, Time } from './names.ts'

export const CoverageFormat = Type.Union([Type.Literal('json'), Type.Literal('csv'), Type.Literal('html')])
export type CoverageFormat = Static<typeof CoverageFormat>

/** How much of the inventory is encrypted. */
export const CoverageTotals = Type.Object({
  vms: Type.Integer(),
  encryptedVms: Type.Integer(),
  /** VM Home is encrypted, and not every disk. */
  partialVms: Type.Integer(),
  plainVms: Type.Integer(),
  disks: Type.Integer(),
  encryptedDisks: Type.Integer(),
  bytes: Type.Integer(),
  encryptedBytes: Type.Integer(),
  /** 0 to 100, one digit after the point. */
  encryptedVmsPercent: Type.Number(),
  encryptedDisksPercent: Type.Number(),
  encryptedBytesPercent: Type.Number(),
})
export type CoverageTotals = Static<typeof CoverageTotals>

/** VM Home or a disk of a VM, with what protects it. */
export const CoverageRow = Type.Object({
  vm: Type.String(),
  vmId: Type.String(),
  cluster: Type.String(),
  host: Type.String(),
  /** `VM Home` or `disk 0`. */
  part: Type.String(),
  sizeBytes: Nullable(Type.Integer()),
  encrypted: Type.Boolean(),
  policy: Type.String(),
  /** Of the VM with its policies. */
  compliance: Type.String(),
  provider: Nullable(Type.String()),
  keyId: Nullable(Type.String()),
  keyAgeDays: Nullable(Type.Integer()),
  /** How the key was found when it was read back last. */
  keyState: Nullable(Type.String()),
  /** When it was read back and good last. */
  lastVerified: Nullable(Time),
  lock: Type.String(),
})
export type CoverageRow = Static<typeof CoverageRow>

/** What is plain comes first. */
export const CoverageReport = Type.Object({
  generatedAt: Time,
  totals: CoverageTotals,
  rows: Type.Array(CoverageRow),
})
export type CoverageReport = Static<typeof CoverageReport>
