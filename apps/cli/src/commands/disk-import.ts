import type { DiskFormat, Task } from '@cryptvisor/control-plane-api'
import { Option } from 'commander'
import { diskFormats } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { ImageFile } from '../image-file.ts'
import { addPaceOptions, type PaceOptions, paceOf } from '../pace-options.ts'
import { getPassphrase } from '../passphrase.ts'
import { sendFor } from '../send-for.ts'

/** What only a LUKS volume has. */
interface VolumeOptions extends PaceOptions {
  readonly passphraseFile?: string
  readonly adopt?: boolean
  readonly policy?: string
  readonly thin?: boolean
}

interface ImportOptions extends VolumeOptions {
  readonly format?: DiskFormat
  readonly luks?: boolean
}

/** `disk import`: one more disk of a VM, out of an image or of a LUKS volume. */
export function addDiskImport(disk: CliCommand, cli: Cli): void {
  addPaceOptions(
    disk
      .command('import')
      .description('add a disk out of an image, plain; or, with --luks, out of a LUKS volume of somebody else')
      .argument('<vm>', 'name or ID of the VM')
      .argument('<file>', 'the image or volume: a file or block device')
      .addOption(
        new Option(
          '--format <format>',
          'of the image, or of what is in the volume (default: qcow2 for names that end in .qcow2, else raw; raw in a volume)',
        ).choices(diskFormats),
      )
      .option('--luks', 'it is a LUKS1 or LUKS2 volume; its passphrase is asked for')
      .option(
        '--passphrase-file <file>',
        'take every byte of this file as the passphrase (as cryptsetup --key-file does)',
      )
      .option('--adopt', 'keep the LUKS1 volume as it is, and put our key in place of the others')
      .option('--policy <name>', 'the storage policy (default: that of VM Home)')
      .option('--thin', 'make a raw disk qcow2, in which zeros take no room (default: as the policy says)'),
  )
    .examples(
      'disk import db1 data.img',
      'disk import db1 old.luks --luks',
      'disk import db1 old.luks --luks --adopt --passphrase-file /run/keys/old',
    )
    .action(async (vm: string, path: string, { luks, format, ...options }: ImportOptions) => {
      const task =
        luks === true
          ? await importVolume(cli, vm, path, format, options)
          : await importImage(cli, vm, path, format, options)
      cli.showTask(task)
    })
}

async function importImage(
  cli: Cli,
  vm: string,
  path: string,
  format: DiskFormat | undefined,
  options: VolumeOptions,
): Promise<Task> {
  refuseWithoutLuks(options)
  await using image = await ImageFile.open({ path }, format)
  return await cli.withClient((client) =>
    sendFor(cli, client, image, path, async () => {
      const { task } = await client.importDisk(vm, { format: image.format, contentBytes: image.sizeBytes })
      return { task, before: async () => undefined }
    }),
  )
}

async function importVolume(
  cli: Cli,
  vm: string,
  path: string,
  format: DiskFormat | undefined,
  { passphraseFile, adopt, policy, thin, ...pace }: VolumeOptions,
): Promise<Task> {
  await using image = await ImageFile.openVolume({ path }, format)
  using passphrase = await getPassphrase(passphraseFile, cli.surroundings, `Passphrase of ${path}: `)
  return await cli.withClient((client) =>
    sendFor(cli, client, image, path, async () => {
      const { task } = await client.importVolume(vm, {
        format: image.format,
        contentBytes: image.sizeBytes,
        ...(adopt === true ? { mode: 'adopt' as const } : {}),
        ...(policy === undefined ? {} : { policy }),
        ...(thin === undefined ? {} : { thin }),
        ...paceOf(pace),
      })
      return { task, before: (signal) => client.sendPassphrase(task.id, passphrase, signal) }
    }),
  )
}

function refuseWithoutLuks({ passphraseFile, adopt, policy, thin, verify, limit }: VolumeOptions): void {
  const given = {
    '--passphrase-file': passphraseFile,
    '--adopt': adopt,
    '--policy': policy,
    '--thin': thin,
    '--no-verify': verify ? undefined : true,
    '--limit': limit,
  }
  const field = Object.entries(given).find(([, value]) => value !== undefined)?.[0]
  if (field === undefined) return
  throw new CliError('usage', `${field}: goes with --luks only; an image is laid down plain, as it is`, {
    field,
    next: 'leave it out, and encrypt the disk afterwards: cryptvisor vm encrypt VM --disk N',
  })
}
