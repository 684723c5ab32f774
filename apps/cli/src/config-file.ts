import { isAbsolute, join } from 'node:path'
import { CliError } from './cli-error.ts'
import { readPrivateFile, writePrivateFile } from './private-file.ts'
import type { Surroundings } from './surroundings.ts'

/** What `cryptvisor login` keeps between commands. `token`, `user` and `expiresAt` are gone after `logout`. */
export interface Config {
  readonly url: string
  /** PEM. */
  readonly ca: string
  readonly user?: string
  readonly token?: string
  readonly expiresAt?: string
}

const members = { url: true, ca: true, user: false, token: false, expiresAt: false } as const

/** `--config`, else CRYPTVISOR_CONFIG, else the XDG place (a relative XDG_CONFIG_HOME does not count, says XDG). */
export function configPath(
  flag: string | undefined,
  { environment, homeFolder }: Pick<Surroundings, 'environment' | 'homeFolder'>,
): string {
  const named = flag ?? environment['CRYPTVISOR_CONFIG']
  if (named !== undefined && named !== '') return named
  const xdg = environment['XDG_CONFIG_HOME'] ?? ''
  return join(isAbsolute(xdg) ? xdg : join(homeFolder, '.config'), 'cryptvisor', 'config.json')
}

/** `null` when there is none. Throws `CliError` when others can read it or it is not ours. */
export async function loadConfig(path: string): Promise<Config | null> {
  const text = await readPrivateFile(path)
  if (text === null) return null
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw broken(path, 'it is not JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw broken(path, 'it is not one object')
  const found = new Map<string, unknown>(Object.entries(value))
  for (const [name, member] of found) {
    if (!Object.hasOwn(members, name)) throw broken(path, `there is no setting ${JSON.stringify(name)}`)
    if (typeof member !== 'string') throw broken(path, `${name} is not text`)
  }
  for (const [name, required] of Object.entries(members)) {
    if (required && !found.has(name)) throw broken(path, `${name} is missing`)
  }
  // Each member was checked against `members` just now.
  return value as Config
}

export function saveConfig(path: string, config: Config): Promise<void> {
  return writePrivateFile(path, `${JSON.stringify(config, null, 2)}\n`)
}

function broken(path: string, reason: string): CliError {
  return new CliError('bad-file', `${path} is no configuration of cryptvisor: ${reason}`, {
    next: 'remove the file and log in again: cryptvisor login --url URL --ca FILE --user NAME',
  })
}
