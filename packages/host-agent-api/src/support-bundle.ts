import { type Static, Type } from 'typebox'
import { KeyReference } from './keys.ts'
import { FolderName } from './vm.ts'

const strict = { additionalProperties: false } as const

/** The largest request: what the control plane adds to a bundle. */
export const supportBundleRequestSizeMax = 2_097_152

/** Has the agent make a support bundle of its host. */
export const TakeSupportBundle = Type.Object(
  {
    /** The user who takes it. */
    takenBy: Type.String({ minLength: 1, maxLength: 256 }),
    /** Whether it is sealed to the host key; otherwise it comes plain, for the control plane's client to seal. */
    sealed: Type.Boolean(),
    /** Those of the host's cluster; what lies there is listed. */
    datastores: Type.Array(
      Type.Object(
        {
          name: Type.String({ maxLength: 80 }),
          path: Type.String({ maxLength: 1024 }),
          /** Folders of VMs that the control plane knows there; they come first. */
          folders: Type.Array(FolderName, { maxItems: 2000 }),
        },
        strict,
      ),
      { maxItems: 64 },
    ),
    /** Key IDs, which are left as they are even where they look like keys. */
    keyIds: Type.Array(Type.String({ maxLength: 256 }), { maxItems: 5000 }),
    /** What the control plane knows of the host, as files of lines. */
    files: Type.Array(
      Type.Object(
        {
          name: Type.String({ pattern: '^[a-z][a-z-]{0,40}\\.(json|jsonl)$' }),
          about: Type.String({ maxLength: 200 }),
          lines: Type.Array(Type.String({ maxLength: 65_536 }), { maxItems: 10_000 }),
        },
        strict,
      ),
      { maxItems: 16 },
    ),
  },
  strict,
)
export type TakeSupportBundle = Static<typeof TakeSupportBundle>

/** What a support bundle would have. */
export const SupportBundlePlan = Type.Object(
  {
    /** What it can be sealed to; `null`: the host holds no host key. */
    hostKey: Type.Union([KeyReference, Type.Null()]),
    files: Type.Array(Type.Object({ name: Type.String(), about: Type.String() }, strict)),
    /** What is beyond is cut: of one file, of all files together before they are compressed. */
    fileSizeMax: Type.Integer(),
    sizeMax: Type.Integer(),
  },
  strict,
)
export type SupportBundlePlan = Static<typeof SupportBundlePlan>
