import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { CliError } from './cli-error.ts'
import { type Config, configPath, loadConfig } from './config-file.ts'
import { readPrivateFile } from './private-file.ts'
import type { Surroundings } from './surroundings.ts'

/** The options that say which control plane and whose session is meant; they work with every command. */
export interface ConnectionOptions {
  readonly url?: string
  readonly ca?: string
  readonly config?: string
  readonly tokenFile?: string
}

/** A control plane that we trust. */
export interface Place {
  readonly url: string
  /** PEM. */
  readonly ca: string
  /** The saved session; `null` when there is none for this URL. */
  readonly config: Config | null
  readonly configPath: string
}

/** Where the control plane is and who we are there; `token` is `null` when we are nobody. */
export interface Connection extends Place {
  readonly token: string | null
}

const howToLogIn = 'log in: cryptvisor login --url URL --ca FILE --user NAME'

/**
 * Puts options, environment and the saved session together. A saved CA is used for the saved URL only. Throws
 * `CliError`.
 */
export async function resolvePlace(options: ConnectionOptions, surroundings: Surroundings): Promise<Place> {
  const path = configPath(options.config, surroundings)
  const saved = await loadConfig(path)
  const url = options.url === undefined ? saved?.url : parseUrl(options.url)
  if (url === undefined) throw new CliError('not-logged-in', 'no control plane is known', { next: howToLogIn })
  const config = saved?.url === url ? saved : null
  const ca = options.ca === undefined ? config?.ca : await readCa(options.ca)
  if (ca === undefined) {
    throw new CliError('usage', `--ca: is missing, and ${url} is not the URL of the saved session`, {
      field: '--ca',
      next: 'give the file with the CA certificate of this control plane: --ca FILE',
    })
  }
  return { url, ca, config, configPath: path }
}

/** The same with the token, of a file or of the saved session: no other server is ever shown that. */
export async function resolveConnection(options: ConnectionOptions, surroundings: Surroundings): Promise<Connection> {
  const place = await resolvePlace(options, surroundings)
  const tokenFile = options.tokenFile ?? (surroundings.environment['CRYPTVISOR_TOKEN_FILE'] || undefined)
  return { ...place, token: tokenFile === undefined ? (place.config?.token ?? null) : await readToken(tokenFile) }
}

/** The connection's token. Throws `CliError` `not-logged-in` when there is none. */
export function requireToken({ token, url }: Connection): string {
  if (token === null) throw new CliError('not-logged-in', `not logged in to ${url}`, { next: howToLogIn })
  return token
}

/** `https://host[:port]` and nothing else. */
function parseUrl(text: string): string {
  const url = URL.parse(text)
  const plain = url !== null && url.pathname === '/' && url.search === '' && url.hash === ''
  if (!plain || url.protocol !== 'https:' || url.username !== '' || url.password !== '') {
    throw new CliError('usage', '--url: is not the URL of a control plane', {
      field: '--url',
      next: 'give it as https://HOST:PORT, with nothing after it',
    })
  }
  return url.origin
}

/** The certificates of a CA, PEM. Throws `CliError` `bad-file`. */
export async function readCa(path: string): Promise<string> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    // Node's file errors carry the system's code.
    const { code } = cause as NodeJS.ErrnoException
    throw new CliError('bad-file', `--ca: ${path} cannot be read: ${code}`, { field: '--ca', cause })
  }
  try {
    // A PEM file may hold several; the first one tells whether it is a PEM file of certificates at all.
    new X509Certificate(text)
  } catch (cause) {
    throw new CliError('bad-file', `--ca: ${path} holds no certificate in PEM`, { field: '--ca', cause })
  }
  return text
}

/** RFC 6750, 2.1: what a bearer token is made of. */
const tokenPattern = /^[A-Za-z0-9._~+/-]+=*$/

async function readToken(path: string): Promise<string> {
  const text = await readPrivateFile(path)
  if (text === null) throw new CliError('bad-file', `the token file ${path} does not exist`, { field: '--token-file' })
  const token = text.trim()
  if (!tokenPattern.test(token)) {
    throw new CliError('bad-file', `the token file ${path} does not hold one token and nothing else`, {
      field: '--token-file',
      next: 'write what `cryptvisor token add NAME` printed into it',
    })
  }
  return token
}
