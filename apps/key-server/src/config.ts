import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { shapeCheck } from '@cryptvisor/rest'
import { type Static, Type } from 'typebox'
import { KeyServerError } from './key-server-error.ts'
import { replaceFile } from './write-file.ts'

const Listener = Type.Object(
  {
    /** The address to listen at. */
    address: Type.String({ minLength: 1, maxLength: 255 }),
    /** 0: any free one at the next start, which is then written here and kept. */
    port: Type.Integer({ minimum: 0, maximum: 65535 }),
  },
  { additionalProperties: false },
)

/** What `config.json` in the data folder says; `init` writes it, an operator may change it. */
export const Config = Type.Object(
  {
    version: Type.Literal(1),
    /** The names and addresses by which we are reached; the server's certificate shows them. */
    hostNames: Type.Array(Type.String({ minLength: 1, maxLength: 255 }), { minItems: 1, maxItems: 50 }),
    kmip: Listener,
    admin: Listener,
    /** Absolute; outside the data folder and outside every backup. */
    rootKeyFile: Type.String({ minLength: 2, maxLength: 4096, pattern: '^/' }),
    /** Whether KMIP takes TLS suites without AEAD, which old appliances need. */
    legacySuites: Type.Boolean(),
    logLevel: Type.Union([Type.Literal('debug'), Type.Literal('info'), Type.Literal('warn'), Type.Literal('error')]),
  },
  { additionalProperties: false },
)
export type Config = Static<typeof Config>

/** What to do about what is wrong in it. */
const mend = 'Correct it (docs/configuration.md, «Key server»), and start the key server again'

const check = shapeCheck(Config, 'config.json')

/** Reads a configuration. Throws `not-set-up` and `bad-config`, naming the field. */
export async function readConfig(path: string): Promise<Config> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    throw unreadable(path, cause)
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new KeyServerError(
      'bad-config',
      `${path}: is not JSON: ${cause instanceof Error ? cause.message : 'unknown error'}. ${mend}`,
      { cause },
    )
  }
  const problem = check(value)
  if (problem !== null) throw new KeyServerError('bad-config', `${path}: ${problem.message}. ${mend}`)
  // It was just checked.
  return value as Config
}

/** Writes a configuration, whole or not at all (mode 0600). */
export async function writeConfig(path: string, config: Config): Promise<void> {
  await replaceFile(path, `${JSON.stringify(config, null, 2)}\n`)
}

function unreadable(path: string, cause: unknown): KeyServerError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error'
  if (code === 'ENOENT') {
    const folder = dirname(path)
    const text = `${path} does not exist: run «key-server init --dir ${folder} --root-key-file FILE --host-name HOST» first`
    return new KeyServerError('not-set-up', text, { cause })
  }
  const text = `${path}: cannot be read (${code}): see that it and its folder belong to the user who starts the key server`
  return new KeyServerError('bad-config', text, { cause })
}
