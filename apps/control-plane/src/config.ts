import { open, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { shapeCheck } from '@cryptvisor/rest'
import { type Static, Type } from 'typebox'
import { defaultSessionLimits, type SessionLimits } from './app/session-limits.ts'
import type { KmipSettings, Labels } from './app/settings.ts'
import { defaultVerification, type VerificationSettings } from './app/work/keys/key-verification.ts'
import { SetUpError } from './set-up-error.ts'

const Port = Type.Integer({ minimum: 1, maximum: 65535 })
const TimeoutMs = Type.Integer({ minimum: 100, maximum: 600_000 })
const LabelValue = Type.String({ minLength: 1, maxLength: 128 })

/** What `config.json` in the data folder says; `init` writes it, an operator may change it. */
export const Config = Type.Object(
  {
    version: Type.Literal(1),
    /** The name or address by which users and hosts reach us; the servers' certificates show it. */
    host: Type.String({ minLength: 1, maxLength: 255 }),
    /** Where to listen; the same as `host` when left out. */
    listenAddress: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
    /** Of the listener for users, and of the one for hosts. */
    port: Port,
    hostsPort: Port,
    /** Absolute; outside the data folder and outside every backup. */
    rootKeyFile: Type.String({ minLength: 2, maxLength: 4096, pattern: '^/' }),
    /** What KEKs are labelled with; `vsphere` gives the values that vCenter gives. */
    labels: Type.Union([
      Type.Literal('cryptvisor'),
      Type.Literal('vsphere'),
      Type.Object({ vendor: LabelValue, product: LabelValue }, { additionalProperties: false }),
    ]),
    /** How many days a key that is to be destroyed can be taken back, when nobody says; 7 when left out. */
    keyDestroyAfterDays: Type.Optional(Type.Integer({ minimum: 0, maximum: 365 })),
    kmip: Type.Object(
      {
        connectTimeoutMs: TimeoutMs,
        requestTimeoutMs: TimeoutMs,
        /** How long from one probe of a key provider to the next, on average; 0: never by itself. */
        probeIntervalMs: Type.Optional(
          Type.Union([Type.Literal(0), Type.Integer({ minimum: 10_000, maximum: 86_400_000 })]),
        ),
      },
      { additionalProperties: false },
    ),
    /** How often each key in use is read back from its provider, and how many at once; left out: every 6 hours, 4 at once. */
    keyVerification: Type.Optional(
      Type.Object(
        {
          everyMinutes: Type.Optional(Type.Integer({ minimum: 1, maximum: 43_200 })),
          atOnceMax: Type.Optional(Type.Integer({ minimum: 1, maximum: 64 })),
        },
        { additionalProperties: false },
      ),
    ),
    security: Type.Optional(
      Type.Object(
        {
          /** A session that nobody uses for so long ends; 60 when left out. After 12 hours each ends. */
          sessionIdleMinutes: Type.Optional(Type.Integer({ minimum: 1, maximum: 720 })),
        },
        { additionalProperties: false },
      ),
    ),
    logLevel: Type.Union([Type.Literal('debug'), Type.Literal('info'), Type.Literal('warn'), Type.Literal('error')]),
  },
  { additionalProperties: false },
)
export type Config = Static<typeof Config>

/** KMIP times: short enough that the next of several servers is asked soon. */
export const defaultKmip = { connectTimeoutMs: 5000, requestTimeoutMs: 15_000 } as const satisfies Config['kmip']

/** Often enough to know of a key server that is gone before somebody needs it. */
const defaultProbeIntervalMs = 300_000

/** How long a key that is to be destroyed can be taken back. */
export const destroyAfterMsOf = ({ keyDestroyAfterDays = 7 }: Config): number => keyDestroyAfterDays * 86_400_000

/** When sessions of users end by themselves. */
export function sessionsOf({ security: { sessionIdleMinutes } = {} }: Config): SessionLimits {
  return sessionIdleMinutes === undefined ? defaultSessionLimits : { idleMs: sessionIdleMinutes * 60_000 }
}

/** What to do about what is wrong in it. */
const mend = 'Correct it (docs/configuration.md, «Control plane»), and start the control plane again'

/** More than any configuration has. */
const configSizeMax = 65_536

const check = shapeCheck(Config, 'config.json')

/** Where the configuration lies. It is written last: a folder that has it is set up. */
export const configPath = (folder: string): string => join(folder, 'config.json')

/**
 * Reads the configuration. Throws `not-set-up`, and `bad-config`, naming the field, also where others may write it
 * (whoever does says where the root key is and whom users reach) or enter the folder.
 */
export async function readConfig(folder: string): Promise<Config> {
  const path = configPath(folder)
  return parseConfig(await readOwn(path, folder), path)
}

/** Reads the text of a configuration; `path` is for the errors. Throws `bad-config`, naming the field. */
export function parseConfig(text: string, path: string): Config {
  const value = parse(text, path)
  const problem = check(value)
  if (problem !== null) throw new SetUpError('bad-config', `${path}: ${problem.message}. ${mend}`)
  // It was just checked.
  const config = value as Config
  if (config.port === config.hostsPort) {
    throw new SetUpError('bad-config', `${path}: hostsPort: expected another port than port. ${mend}`)
  }
  return config
}

async function readOwn(path: string, folder: string): Promise<string> {
  try {
    if (((await stat(folder)).mode & 0o077) !== 0) {
      throw new SetUpError('bad-config', `${folder}: others may enter it: chmod 700 ${folder}`)
    }
    await using file = await open(path, 'r')
    const { mode, size } = await file.stat()
    if ((mode & 0o022) !== 0) throw new SetUpError('bad-config', `${path}: others may write it: chmod 600 ${path}`)
    if (size > configSizeMax)
      throw new SetUpError('bad-config', `${path}: has more than ${configSizeMax} bytes. ${mend}`)
    return await file.readFile('utf8')
  } catch (cause) {
    if (cause instanceof SetUpError) throw cause
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown'
    if (code === 'ENOENT') {
      throw new SetUpError('not-set-up', `${path} does not exist: run «control-plane init --dir ${folder}» first`)
    }
    throw new SetUpError(
      'bad-config',
      `${path}: cannot be read (${code}): see that it and its folder belong to the user who starts the control plane`,
      { cause },
    )
  }
}

/** Writes the configuration, whole or not at all (mode 0600). */
export async function writeConfig(folder: string, config: Config): Promise<void> {
  const path = configPath(folder)
  const fresh = `${path}.new`
  await writeSynced(fresh, `${JSON.stringify(config, null, 2)}\n`)
  await rename(fresh, path)
  await using opened = await open(folder, 'r')
  await opened.sync()
}

/** How the control plane works with key providers. */
export function kmipOf(config: Pick<Config, 'kmip'>): KmipSettings {
  return { probeIntervalMs: defaultProbeIntervalMs, ...config.kmip }
}

/** How often keys in use are read back; each of the two that is left out is as by default. */
export function verificationOf({ keyVerification: { everyMinutes, atOnceMax } = {} }: Config): VerificationSettings {
  return {
    everyMs: everyMinutes === undefined ? defaultVerification.everyMs : everyMinutes * 60_000,
    atOnceMax: atOnceMax ?? defaultVerification.atOnceMax,
  }
}

/** What KEKs are labelled with. */
export function labelsOf(config: Config, productVersion: string): Labels {
  if (config.labels === 'cryptvisor') return { vendor: 'Cryptvisor', product: 'Cryptvisor', productVersion }
  if (config.labels === 'vsphere') return { vendor: 'VMware, Inc.', product: 'VMware vSphere', productVersion }
  return { ...config.labels, productVersion }
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new SetUpError(
      'bad-config',
      `${path}: is not JSON: ${cause instanceof Error ? cause.message : 'unknown error'}. ${mend}`,
      { cause },
    )
  }
}

async function writeSynced(path: string, text: string): Promise<void> {
  await using file = await open(path, 'w', 0o600)
  await file.writeFile(text)
  await file.sync()
}
