import { diskNumbers } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { addPaceOptions, type PaceOptions, paceOf } from '../pace-options.ts'

interface RekeyOptions extends PaceOptions {
  readonly deep?: boolean
  readonly home?: boolean
  readonly disk?: readonly number[]
  readonly keyProvider?: string
  readonly wait: boolean
}

/** `vm rekey`: another KEK, and with `--deep` other keys of the data, too. */
export function addVmRekey(vm: CliCommand, cli: Cli): void {
  addPaceOptions(
    vm
      .command('rekey')
      .description('give a VM another key: VM Home and all encrypted disks, or the parts that are named')
      .argument('<vm>', 'its name or ID')
      .option('--deep', 'encrypt the data anew, under new keys; without it no data moves')
      .option('--home', 'VM Home only')
      .option('--disk <n>', 'this disk only, counted from 0; give the option once for each', diskNumbers)
      .option('--key-provider <name>', "who makes the key (default: who keeps the VM's present one)"),
  )
    .option('--no-wait', 'do not wait until it is done')
    .section('Which one', [
      'A shallow rekey (without --deep) wraps the keys of the data with a new key from the key server. It takes moments,',
      'and it is the one for a key that is to be replaced in time. It is no answer to a key that was stolen together with an',
      'old copy of the disks or of their headers: those open the data still. A deep rekey is.',
    ])
    .examples('vm rekey db1', 'vm rekey db1 --deep --limit 200MiB/s', 'vm rekey db1 --disk 1 --deep')
    .action((name: string, { deep, home, disk, keyProvider, wait, ...pace }: RekeyOptions) => {
      if (deep !== true) refusePace(pace)
      return cli.runTask(
        (client) =>
          client.rekeyVm(name, {
            depth: deep === true ? 'deep' : 'shallow',
            ...(home === undefined ? {} : { home }),
            ...(disk === undefined ? {} : { disks: [...disk] }),
            ...(keyProvider === undefined ? {} : { keyProvider }),
            ...paceOf(pace),
          }),
        wait,
      )
    })
}

function refusePace({ verify, limit }: PaceOptions): void {
  if (verify && limit === undefined) return
  const field = verify ? '--limit' : '--no-verify'
  throw new CliError('usage', `${field}: a shallow rekey moves no data`, {
    field,
    next: 'leave it out, or give --deep',
  })
}
