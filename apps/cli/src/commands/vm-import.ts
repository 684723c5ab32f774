import type { DiskFormat } from '@cryptvisor/control-plane-api'
import { Option } from 'commander'
import { diskFormats, texts } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import type { CliCommand } from '../command.ts'
import { ImageFile } from '../image-file.ts'
import { importVm } from '../import-vm.ts'
import { addPlacementOptions, type PlacementOptions, placementOf } from '../vm-placement.ts'

interface ImportOptions extends PlacementOptions {
  readonly disk: readonly string[]
  readonly format?: DiskFormat
  readonly policy?: string
  readonly keyProvider?: string
  readonly wait: boolean
}

/** `vm import`: a VM of disk images. */
export function addVmImport(vm: CliCommand, cli: Cli): void {
  addPlacementOptions(
    vm
      .command('import')
      .description('create a VM of disk images; with an encryption policy it is encrypted then')
      .argument('<name>', 'its name')
      .requiredOption('--disk <file>', 'an image (file or block device); give the option once for each', texts)
      .addOption(
        new Option(
          '--format <format>',
          'of all images (default: qcow2 for names that end in .qcow2, else raw)',
        ).choices(diskFormats),
      )
      .option('--policy <name>', "the storage policy, such as 'VM Encryption Policy'")
      .option('--key-provider <name>', 'who makes the key (default: the default provider)'),
  )
    .option('--no-wait', 'send the images, but do not wait for the task that comes last')
    .examples(
      'vm import db1 --disk db1.qcow2',
      "vm import db1 --disk system.img --disk data.img --policy 'VM Encryption Policy'",
    )
    .action(async (name: string, { disk, format, policy, keyProvider, wait, ...placement }: ImportOptions) => {
      await using images = new AsyncDisposableStack()
      const files: ImageFile[] = []
      for (const path of disk) files.push(images.use(await ImageFile.open({ path, option: '--disk' }, format)))
      const task = await cli.withClient((client) =>
        importVm(cli, client, { name, placement: placementOf(placement), policy, keyProvider, wait, images: files }),
      )
      cli.showTask(task)
    })
}
