import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { shapeCheck } from '@cryptvisor/rest'
import { type Static, Type } from 'typebox'
import { AgentError } from './agent-error.ts'
import { errnoOf } from './io-error.ts'
import { uuidPattern } from './uuid.ts'

/** What an agent keeps of itself in `config.json`; written at enrolment, read at each start, edited by hand. */
export const AgentConfig = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 80, description: 'What the control plane calls this host' }),
    hostId: Type.String({ minLength: 1, maxLength: 64, pattern: '^[0-9A-Za-z-]+$' }),
    hardwareUuid: Type.String({ pattern: `^${uuidPattern}$` }),
    /** Where the control plane calls this agent: the host that its certificate names, and the port chosen at enrolment. */
    url: Type.String({ maxLength: 256, pattern: '^https://[^/]+$' }),
    /** The address to listen at; where it is missing, the host of `url`. */
    listenAddress: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
    port: Type.Integer({ minimum: 1, maximum: 65_535 }),
    /** The control plane's listener for hosts. */
    controlPlaneUrl: Type.String({ maxLength: 256, pattern: '^https://[^/]+$' }),
    /** `unsupported` makes a host that takes no keys and encrypts nothing. */
    crypto: Type.Union([Type.Literal('supported'), Type.Literal('unsupported')]),
    /** Where given, datastores must lie at or below one of these folders. */
    datastoreRoots: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 1024, pattern: '^/' }), { maxItems: 64 }),
    ),
    /** Block devices, or folders such as `/dev/disk/by-id`, that disks may lie at or below; without it on none. */
    deviceRoots: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 1024, pattern: '^/' }), { maxItems: 64 }),
    ),
    /** How guests run: `kvm`, or `tcg`, QEMU's emulation; where it is missing, by KVM if guests really run with it here. */
    acceleration: Type.Optional(Type.Union([Type.Literal('kvm'), Type.Literal('tcg')])),
    /** The TPM 2.0 that persisted keys are sealed to; where it is missing, `/dev/tpmrm0`. */
    tpm: Type.Optional(
      Type.Object(
        {
          /** A device, or the UNIX socket of an emulator. */
          tcti: Type.String({ maxLength: 256, pattern: '^(device:/dev/[0-9A-Za-z]+|swtpm:path=/[^, ]+)$' }),
          /** Boot measurements that must be as they were when the keys were written, such as `sha256:7`. */
          pcrs: Type.Optional(Type.String({ maxLength: 100, pattern: '^sha256:[0-9]{1,2}(,[0-9]{1,2})*$' })),
        },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
)
export type AgentConfig = Static<typeof AgentConfig>

/** Where things lie in the agent's own folder. */
export const agentFiles = {
  config: (folder: string) => join(folder, 'config.json'),
  /** Certificate and private key together; where it is missing, the two files below are what enrolment left. */
  identity: (folder: string) => join(folder, 'identity.pem'),
  certificate: (folder: string) => join(folder, 'identity.crt'),
  privateKey: (folder: string) => join(folder, 'identity.key'),
  ca: (folder: string) => join(folder, 'ca.crt'),
  /** What the control plane that it works for is at least (`ControlPlaneEpoch`). */
  epoch: (folder: string) => join(folder, 'control-plane-epoch.json'),
  /** The public part of what seals core dumps. */
  dumpKey: (folder: string) => join(folder, 'dump-key.json'),
  /** Sealed core dumps. */
  dumps: (folder: string) => join(folder, 'dumps'),
  /** KEKs sealed to the TPM, where key persistence is on. */
  persistedKeys: (folder: string) => join(folder, 'keys.sealed'),
  /** What VMs that run here have of their own: a folder for each. */
  run: (folder: string) => join(folder, 'run'),
  /** What the kernel starts with a core dump on its standard input. */
  coreDumpHelper: (folder: string) => join(folder, 'core-dump'),
} as const

/** No file of the agent's own is longer, unless its reader knows better. */
const agentFileSizeMax = 65_536

/** What to do about what is wrong in it. */
const mend = 'Correct it (docs/configuration.md, «Host agent»), and start the agent again'

const problemOf = shapeCheck(AgentConfig, 'config.json')

/**
 * Reads `config.json`; `null` when this folder was never enrolled. Throws AgentError `bad-config`, whose text names the
 * field and what was expected there.
 */
export async function readConfig(folder: string): Promise<AgentConfig | null> {
  const path = agentFiles.config(folder)
  const bytes = await readAgentFile(path)
  if (bytes === null) return null
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw new AgentError(
      'bad-config',
      `${path}: expected JSON: ${cause instanceof Error ? cause.message : 'unknown error'}. ${mend}`,
      { cause },
    )
  }
  const problem = problemOf(value)
  if (problem !== null) throw new AgentError('bad-config', `${path}: ${problem.message}. ${mend}`)
  // Just checked against the schema that the type comes from.
  return value as AgentConfig
}

/** Reads a file of the agent's own folder; `null` when it is not there. The caller wipes what is secret. */
export async function readAgentFile(path: string, sizeMax: number = agentFileSizeMax): Promise<Buffer | null> {
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
    const { size } = await file.stat()
    if (size > sizeMax) throw new AgentError('bad-config', `${path}: has more than ${sizeMax} bytes`)
    const bytes = Buffer.alloc(size)
    const { bytesRead } = await file.read(bytes, 0, size, 0)
    if (bytesRead !== size) throw new AgentError('bad-config', `${path}: changed while it was read`)
    return bytes
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return null
    if (cause instanceof AgentError) throw cause
    throw new AgentError(
      'bad-config',
      `${path}: cannot be read: ${errnoOf(cause) ?? 'unknown error'}: see that it and its folder belong to the user who starts the agent`,
      { cause },
    )
  }
}
