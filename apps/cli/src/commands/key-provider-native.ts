import { open } from 'node:fs/promises'
import { type KeyProvider, nativeBackupSizeMax } from '@cryptvisor/control-plane-api'
import { Secret } from '@cryptvisor/secret'
import { wholeNumber } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { requireFree, writeExport } from '../exported-file.ts'
import { getFilePassword } from '../file-password.ts'
import type { PasswordOptions } from '../password.ts'
import { addPasswordOptions } from '../password-options.ts'
import { line } from '../printable.ts'

/** `key-provider backup`, `restore`, `rotate` and `destroy-generation`: providers whose keys are derived here. */
export function addNativeProvider(provider: CliCommand, cli: Cli): void {
  addBackup(provider, cli)
  addRestore(provider, cli)
  provider
    .command('rotate')
    .description(
      'give a native key provider a new derivation key (generation). It makes no keys before the next backup; VMs keep their keys until they are rekeyed',
    )
    .argument('<name>', 'its name')
    .examples('key-provider rotate nkp', 'key-provider backup nkp --out nkp-2.p12', 'vm rekey db1')
    .action(async (name: string) => {
      const rotated = await cli.withClient((client) => client.rotateKeyProvider(name))
      cli.show(rotated, ({ native }) => line(`${name} has a derivation key of generation ${native?.generation}`))
      cli.hint(`back it up now, it makes no keys before: cryptvisor key-provider backup ${name} --out FILE`)
    })
  provider
    .command('destroy-generation')
    .description(
      'destroy an earlier derivation key of a native key provider, and with it every key of that generation, for good. Refused while one of those keys is not destroyed. Backups that hold it still derive its keys: destroy them, too',
    )
    .argument('<name>', 'its name')
    .argument('<generation>', 'see «key-provider show»', wholeNumber(1, 999_999))
    .examples('key-provider destroy-generation nkp 1')
    .action((name: string, generation: number) =>
      cli.showAnswer(
        (client) => client.destroyGeneration(name, generation),
        () => line(`generation ${generation} of ${name} is destroyed`),
      ),
    )
}

/** Adds a native provider, and says what comes next. */
export async function addNative(cli: Cli, name: string): Promise<void> {
  const made = await cli.withClient((client) => client.addNativeProvider(name))
  cli.show(made, () => line(`added native key provider ${name}; it makes no keys before its backup`))
  cli.hint(`back it up now: cryptvisor key-provider backup ${name} --out FILE`)
}

function addBackup(provider: CliCommand, cli: Cli): void {
  const backup = provider
    .command('backup')
    .description(
      'back up the derivation keys of a native key provider into a PKCS#12 file under a password. Before the first backup it makes no keys. Whoever has file and password can derive every key: keep them apart',
    )
    .argument('<name>', 'its name')
    .requiredOption('--out <file>', 'where to; it must not be there yet, and others cannot read it')
  addPasswordOptions(backup)
    .examples('key-provider backup nkp --out nkp.p12', 'key-provider backup nkp --out nkp.p12 --password-stdin <pass')
    .section('Look into it', ['openssl pkcs12 -info -noenc -in nkp.p12'])
    .action(async (name: string, { out, ...options }: PasswordOptions & { readonly out: string }) => {
      await requireFree(out)
      using password = await getFilePassword(options, cli.surroundings, true)
      const made = await cli.withClient((client) =>
        cli.surroundings.interrupt.during(async (signal) => {
          const { stream, sizeBytes } = await client.backupKeyProvider(name, password, signal)
          const sha256 = await writeExport(out, stream, () => undefined)
          const confirmed = await client.confirmBackup(name, { sha256 })
          return { path: out, sizeBytes, sha256, provider: confirmed }
        }),
      )
      cli.show(made, () =>
        line(`${out}: backup of ${name}${defaultText(made.provider)}, SHA-256 ${made.sha256}; it makes keys now`),
      )
    })
}

function addRestore(provider: CliCommand, cli: Cli): void {
  const restore = provider
    .command('restore')
    .description(
      'restore a native key provider from its backup, with its name: its keys are what they were. For a new control plane, or after its database was lost',
    )
    .argument('<file>', 'what «key-provider backup» wrote')
  addPasswordOptions(restore)
    .examples('key-provider restore nkp.p12')
    .action(async (path: string, options: PasswordOptions) => {
      using file = await readBackup(path)
      using password = await getFilePassword(options, cli.surroundings, false)
      await cli.showAnswer(
        async (client) => {
          const { id } = await client.sendBackup(file)
          return client.restoreBackup(id, password)
        },
        (made) => line(`restored key provider ${made.name}${defaultText(made)}`),
      )
    })
}

const defaultText = ({ isDefault }: KeyProvider) => (isDefault ? ', the default' : '')

async function readBackup(path: string): Promise<Secret> {
  const bytes = new Uint8Array(nativeBackupSizeMax + 1)
  let size = 0
  try {
    await using file = await open(path, 'r')
    for (;;) {
      const { bytesRead } = await file.read(bytes, size, bytes.length - size)
      size += bytesRead
      if (bytesRead === 0 || size === bytes.length) break
    }
  } catch (cause) {
    // Node's file errors carry the system's code.
    const { code } = cause as NodeJS.ErrnoException
    throw new CliError('bad-file', `${path} cannot be read: ${code}`, { cause })
  }
  if (size > 0 && size <= nativeBackupSizeMax) return Secret.from(bytes.slice(0, size))
  throw new CliError(
    'bad-file',
    `${path} is no backup of a key provider: it has ${size === 0 ? 'no' : 'too many'} bytes`,
  )
}
