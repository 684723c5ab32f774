import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'
import type { SupportBundlePlan } from '@cryptvisor/control-plane-api'
import type { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'
import { Secret, secretBytes } from '@cryptvisor/secret'
import { bundleKeySizeBytes, openSealed, type SealedBundleHeader, SupportBundleError } from '@cryptvisor/support-bundle'
import { ageSealer } from '../age-seal.ts'
import { addSealingOptions, type BundleSealing, chosenSealing, type SealingOptions } from '../bundle-sealing.ts'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { requireFree, writeExport } from '../exported-file.ts'
import { keyName } from '../key-name.ts'
import { line } from '../printable.ts'
import { formatSize } from '../quantity.ts'
import { table } from '../table.ts'

const outOption = ['--out <file>', 'where to; it must not be there yet, and others cannot read it'] as const

const openedBy = [
  'age --decrypt bundle.age | tar -xzf -             (it asks for the password)',
  'age --decrypt -i key.txt bundle.age | tar -xzf -  (sealed with --recipient)',
]

type TakeOptions = SealingOptions & { readonly out: string }

/** `host support-bundle` and `host decrypt-bundle`. */
export function addHostBundles(host: CliCommand, cli: Cli): void {
  const take = host
    .command('support-bundle')
    .description(
      'have a host make a support bundle: state, settings, log, operations, what lies on its datastores by name and size, and what the control plane has on record of it; no key, no password, no content of a disk. It is sealed to the host key, as core dumps are, unless a password or a recipient is given; --dry-run shows what would be in',
    )
    .argument('<host>', 'its name or ID')
    .requiredOption(...outOption)
  addSealingOptions(take)
    .examples(
      'host support-bundle host-b --out host-b.bundle',
      'host decrypt-bundle host-b host-b.bundle --out host-b.tar.gz',
      'host support-bundle host-b --out host-b.age --password-stdin <password-file',
      'host support-bundle host-b --out host-b.age --recipient age1…',
    )
    .section('Open it without Cryptvisor', openedBy)
    .action(async (name: string, { out, ...options }: TakeOptions) => {
      if (cli.options.dryRun === true) return showPlan(cli, (client) => client.hostBundlePlan(name))
      await requireFree(out)
      const sealing = (await chosenSealing(options, cli.surroundings)) ?? { kind: 'host-key' }
      await takeBundle(cli, out, sealing, (client, signal) =>
        client.takeHostBundle(name, { sealing: sealing.kind }, signal),
      )
      if (sealing.kind === 'host-key') {
        cli.hint(`open it: cryptvisor host decrypt-bundle ${name} ${out} --out FILE.tar.gz`)
      }
    })
  host
    .command('decrypt-bundle')
    .description(
      'open a support bundle that was sealed to a key of this host, also when the host has another key by now or is not connected. The file stays here: the control plane is sent its first line, and answers with the key of this one bundle',
    )
    .argument('<host>', 'its name or ID')
    .argument('<file>', 'what «host support-bundle» wrote')
    .requiredOption(...outOption)
    .examples('host decrypt-bundle host-b host-b.bundle --out host-b.tar.gz')
    .action(async (name: string, path: string, { out }: { readonly out: string }) => {
      await requireFree(out)
      const made = await cli.withClient((client) =>
        cli.surroundings.interrupt.during(async (signal) => {
          const source = createReadStream(path, { signal })
          const content = openSealed(source, (header) => bundleKey(client, name, header))
          return await written(out, Readable.from(opened(path, content), { objectMode: false }))
        }),
      )
      cli.show(made, () => line(`${out}: plain, ${formatSize(made.sizeBytes)}, SHA-256 ${made.sha256}`))
    })
}

/** `system support-bundle`. */
export function addSystemBundle(system: CliCommand, cli: Cli): void {
  const take = system
    .command('support-bundle')
    .description(
      'make a support bundle of the control plane: version, settings, log, a check of the database and of the audit, key providers, certificates, hosts, alarms, tasks and events of the last week, metrics; no password, no token, nothing that is sealed. Say what it is sealed to; --dry-run shows what would be in',
    )
    .requiredOption(...outOption)
  addSealingOptions(take)
    .examples(
      'system support-bundle --out system.age --password-prompt',
      'system support-bundle --out system.age --recipient age1…',
    )
    .section('Open it without Cryptvisor', openedBy)
    .action(async ({ out, ...options }: TakeOptions) => {
      if (cli.options.dryRun === true) return showPlan(cli, (client) => client.systemBundlePlan())
      await requireFree(out)
      const sealing = await chosenSealing(options, cli.surroundings)
      if (sealing === null || sealing.kind === 'host-key') {
        throw new CliError('usage', 'nothing says what the bundle is sealed to', {
          next: 'give --password-prompt, --password-stdin, --password-file FILE or --recipient KEY; or --plain',
        })
      }
      await takeBundle(cli, out, sealing, (client, signal) =>
        client.takeSystemBundle({ sealing: sealing.kind }, signal),
      )
    })
}

/** Takes a bundle, seals it where that is for us to do, and writes it, whole or not at all. */
async function takeBundle(
  cli: Cli,
  out: string,
  sealing: BundleSealing,
  take: (client: ControlPlaneClient, signal: AbortSignal) => Promise<Readable>,
): Promise<void> {
  using _password = sealing.kind === 'password' ? sealing.password : null
  const seal = await sealerOf(sealing)
  const made = await cli.withClient((client) =>
    cli.surroundings.interrupt.during(async (signal) => {
      using display = cli.progress()
      try {
        const source = await take(client, signal)
        return await written(out, await seal(source), (doneBytes) =>
          display.update({
            step: `reading the bundle, ${formatSize(doneBytes)}`,
            ...{ doneBytes, totalBytes: 0, percent: 0, bytesPerSecond: null, secondsLeft: null },
          }),
        )
      } catch (error) {
        if (!signal.aborted || error instanceof CliError) throw error
        throw new CliError('interrupted', 'it was interrupted; nothing of the bundle is left', { cause: error })
      }
    }),
  )
  cli.show({ ...made, sealedTo: sealing.kind }, () =>
    line(`${out}: ${sealingWords[sealing.kind]}, ${formatSize(made.sizeBytes)}, SHA-256 ${made.sha256}`),
  )
  if (sealing.kind === 'none') {
    cli.hint('it is not sealed: names of VMs, hosts, users and datastores can be read by whoever gets the file')
  }
}

const sealingWords = {
  'host-key': 'sealed to the host key',
  password: 'sealed to the password',
  recipient: 'sealed to the recipients',
  none: 'plain',
} as const satisfies Record<BundleSealing['kind'], string>

/** How the bytes of a bundle are sealed here. */
async function sealerOf(sealing: BundleSealing): Promise<(content: Readable) => Promise<Readable>> {
  if (sealing.kind === 'password' || sealing.kind === 'recipient') return await ageSealer(sealing)
  return async (content) => content
}

async function written(path: string, content: Readable, tell: (doneBytes: number) => void = () => undefined) {
  let sizeBytes = 0
  const sha256 = await writeExport(path, content, (doneBytes) => {
    sizeBytes = doneBytes
    tell(doneBytes)
  })
  return { path, sizeBytes, sha256 }
}

/** Asks for the key of one bundle. */
async function bundleKey(client: ControlPlaneClient, host: string, header: SealedBundleHeader): Promise<Secret> {
  const { stream } = await client.openHostBundle(host, { header: JSON.stringify(header) })
  const bytes = secretBytes(bundleKeySizeBytes)
  let size = 0
  for await (const chunk of stream) {
    // A stream of bytes.
    const part = chunk as Uint8Array
    if (size + part.length <= bytes.length) bytes.set(part, size)
    size += part.length
    part.fill(0)
  }
  if (size === bundleKeySizeBytes) return Secret.from(bytes)
  bytes.fill(0)
  throw new CliError('not-whole', 'the control plane sent no key of a bundle')
}

/** The same, with what is wrong with the file in our words. */
async function* opened(path: string, content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* content
  } catch (cause) {
    if (cause instanceof SupportBundleError) {
      const next = 'sealed with age? Open it with «age --decrypt»; see docs/support-bundles.md'
      throw new CliError('bad-file', `${path}: ${cause.message}`, { next, cause })
    }
    if (cause instanceof Error && 'code' in cause && 'syscall' in cause) {
      throw new CliError('bad-file', `${path} cannot be read: ${String(cause.code)}`, { cause })
    }
    throw cause
  }
}

/** For `--dry-run`: what would be in. */
async function showPlan(cli: Cli, ask: (client: ControlPlaneClient) => Promise<SupportBundlePlan>): Promise<void> {
  const plan = await cli.withClient(ask)
  cli.show({ dryRun: true, ...plan }, ({ files, fileSizeMax, sizeMax, hostKey }) =>
    [
      line('dry run: nothing was taken. It would have:'),
      table(
        ['FILE', 'WHAT IT IS'],
        [...files.map(({ name, about }) => [name, about]), ['manifest.json', 'what is in, and what was cut']],
      ),
      line(
        `at most ${formatSize(fileSizeMax)} a file and ${formatSize(sizeMax)} altogether, before they are compressed`,
      ),
      ...(hostKey === null ? [] : [line(`it can be sealed to host key ${keyName(hostKey)}`)]),
    ].join(''),
  )
}
