import type { Folder } from '@cryptvisor/control-plane-api'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { line } from '../printable.ts'
import { table } from '../table.ts'

/** `folder`: what VMs are sorted into, for permissions. */
export function addFolder(program: CliCommand, cli: Cli): void {
  const folder = program
    .command('folder')
    .description('folders of VMs, in each other: permissions on a folder count for all that lies in it')
  folder
    .command('list')
    .description('list the folders that you may see with the VMs directly in them')
    .action(() =>
      cli.showAnswer(
        async (client) => (await client.folders()).folders,
        (folders) =>
          table(
            ['PATH', 'VMS', 'ID'],
            folders.map(({ path, vms, id }) => [path, vms.join(', '), id]),
          ),
      ),
    )
  folder
    .command('add')
    .description('make a folder; what it lies in has to be there')
    .argument('<path>', 'from the root, such as /Sales or /Sales/Berlin')
    .examples('folder add /Sales', 'folder add /Sales/Berlin')
    .action((path: string) => {
      const { parent, name } = splitPath(path)
      return cli.showAnswer(
        (client) => client.createFolder({ name, parent }),
        (made) => line(`made folder ${made.path}`),
      )
    })
  folder
    .command('rename')
    .description('give a folder another name; it stays where it is')
    .argument('<folder>', 'its path or ID')
    .argument('<name>', 'the new name, without slashes')
    .examples('folder rename /Sales/Berlin Potsdam')
    .action((path: string, name: string) =>
      cli.showAnswer(
        (client) => client.renameFolder(path, { name }),
        (changed: Folder) => line(`the folder is ${changed.path} now`),
      ),
    )
  folder
    .command('move')
    .description(
      'put a folder with all that lies in it into another folder, whose permissions count for it from then on',
    )
    .argument('<folder>', 'its path or ID')
    .argument('<into>', 'path or ID of the folder where it goes; / for the root')
    .examples('folder move /Berlin /Sales', 'folder move /Sales/Berlin /')
    .action((path: string, into: string) =>
      cli.showAnswer(
        (client) => client.moveFolder(path, { folder: into }),
        (changed: Folder) => line(`the folder is ${changed.path} now`),
      ),
    )
  folder
    .command('remove')
    .description('remove an empty folder with the permissions on it')
    .argument('<folder>', 'its path or ID')
    .action((path: string) => cli.remove('folder', path, (client) => client.deleteFolder(path)))
}

function splitPath(path: string): { parent: string; name: string } {
  const at = path.lastIndexOf('/')
  const name = path.slice(at + 1)
  if (!path.startsWith('/') || name === '') {
    throw new CliError('usage', `${path}: is no path of a folder`, {
      next: 'give one from the root, such as /Sales/Berlin',
    })
  }
  return { parent: at === 0 ? '/' : path.slice(0, at), name }
}
