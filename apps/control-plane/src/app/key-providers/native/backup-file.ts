import { backupPasswordSizeMax, backupPasswordSizeMin, ProviderName } from '@cryptvisor/control-plane-api'
import { derivationKeySizeBytes } from '@cryptvisor/key-provider'
import { type NamedSecret, PkiError, readSecretStore, writeSecretStore } from '@cryptvisor/pki'
import type { Secret } from '@cryptvisor/secret'
import { Check } from 'typebox/value'
import { ControlPlaneError } from '../../control-plane-error.ts'

/** A derivation key as it lies in a backup. */
export interface BackedUpKey {
  readonly generation: number
  readonly key: Secret
}

/** What a backup holds; the keys go with it. */
export interface Backup extends Disposable {
  readonly provider: string
  /** The oldest first. */
  readonly keys: readonly BackedUpKey[]
}

/** What each secret in a backup is called: `cryptvisor-native-key-provider/1/<provider ID>/<generation>`. */
const label = 'cryptvisor-native-key-provider/1'

/**
 * The derivation keys of a provider as a PKCS#12 file under a password (`docs/native-provider.md`). Throws `invalid` for a
 * password that is none.
 */
export async function writeBackup(
  provider: string,
  keys: readonly BackedUpKey[],
  password: Secret,
): Promise<Uint8Array> {
  if (password.sizeBytes < backupPasswordSizeMin || password.sizeBytes > backupPasswordSizeMax) {
    const message = `password: expected ${backupPasswordSizeMin} to ${backupPasswordSizeMax} bytes: it is all that protects the backup`
    throw new ControlPlaneError('invalid', message, { field: 'password' })
  }
  const entries = keys.map(({ generation, key }) => ({ name: `${label}/${provider}/${generation}`, secret: key }))
  try {
    return await writeSecretStore(entries, password)
  } catch (error) {
    throw asRefusal(error)
  }
}

/** Opens what `writeBackup` made. Throws `invalid`: the wrong password, another file, a damaged one. */
export async function readBackup(file: Uint8Array, password: Secret): Promise<Backup> {
  let entries: NamedSecret[]
  try {
    entries = await readSecretStore(file, password)
  } catch (error) {
    throw asRefusal(error)
  }
  const dispose = () => {
    for (const { secret } of entries) secret[Symbol.dispose]()
  }
  try {
    return { ...contentOf(entries), [Symbol.dispose]: dispose }
  } catch (error) {
    dispose()
    throw error
  }
}

function contentOf(entries: readonly NamedSecret[]): Pick<Backup, 'provider' | 'keys'> {
  const parts = entries.map(({ name, secret }) => {
    const [first, version, provider = '', generation = '', ...rest] = name.split('/')
    const isOurs = `${first}/${version}` === label && rest.length === 0 && Check(ProviderName, provider)
    if (!isOurs || !/^[1-9][0-9]{0,5}$/.test(generation) || secret.sizeBytes !== derivationKeySizeBytes) {
      throw refused('backup: the file opens, and is no backup of a native key provider', 'backup')
    }
    return { provider, generation: Number(generation), key: secret }
  })
  const [first] = parts
  const generations = new Set(parts.map(({ generation }) => generation))
  if (first === undefined || parts.some(({ provider }) => provider !== first.provider)) {
    throw refused('backup: the file opens, and is no backup of one native key provider', 'backup')
  }
  if (generations.size < parts.length) throw refused('backup: the file has a generation twice', 'backup')
  const keys = parts.map(({ generation, key }) => ({ generation, key }))
  return { provider: first.provider, keys: keys.toSorted((one, other) => one.generation - other.generation) }
}

function asRefusal(error: unknown): unknown {
  if (!(error instanceof PkiError)) return error
  const { code, message } = error
  if (code === 'bad-password') return refused(message, 'password', error)
  if (code === 'wrong-password') return refused(`password: ${message}`, 'password', error)
  return refused(`backup: ${message}: is it what «key-provider backup» wrote?`, 'backup', error)
}

function refused(message: string, field: string, cause?: unknown): ControlPlaneError {
  return new ControlPlaneError('invalid', message, { field, cause })
}
