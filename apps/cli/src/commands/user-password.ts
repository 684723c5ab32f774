import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { getPassword, type PasswordOptions, readAll } from '../password.ts'
import { addPasswordOptions } from '../password-options.ts'
import { line } from '../printable.ts'

/** `user password`: one's own, for the old one. */
export function addUserPassword(user: CliCommand, cli: Cli): void {
  addPasswordOptions(
    user
      .command('password')
      .description('give yourself another password; the old one is asked for first, and your other sessions end'),
  )
    .option('--old-password-file <file>', 'read the old password from a file')
    .section('Without a terminal', [
      '--password-stdin takes two lines, the old password and the new one; or give both by files',
    ])
    .examples('user password', 'user password --old-password-file old --password-file new')
    .action(async (options: PasswordOptions & { readonly oldPasswordFile?: string }) => {
      const { oldPassword, newPassword } = await bothPasswords(cli, options)
      await cli.withClient((client) => client.changePassword({ oldPassword, newPassword }))
      cli.show({ changed: 'password' }, () => line('you have a new password; your other sessions have ended'))
    })
}

async function bothPasswords(
  cli: Cli,
  options: PasswordOptions & { readonly oldPasswordFile?: string },
): Promise<{ oldPassword: string; newPassword: string }> {
  const { surroundings } = cli
  if (options.passwordStdin === true && options.oldPasswordFile === undefined) {
    const [oldPassword = '', newPassword = '', ...rest] = (await readAll(surroundings.stdin))
      .replace(/\r?\n$/, '')
      .split(/\r?\n/)
    if (oldPassword !== '' && newPassword !== '' && rest.length === 0) return { oldPassword, newPassword }
    throw new CliError('bad-password', '--password-stdin: expected two lines, the old password and the new one', {
      field: '--password-stdin',
    })
  }
  const old = options.oldPasswordFile === undefined ? {} : { passwordFile: options.oldPasswordFile }
  const oldPassword = await getPassword(old, surroundings, { text: 'Your password: ', isNew: false })
  const newPassword = await getPassword(options, surroundings, { text: 'New password: ', isNew: true })
  return { oldPassword, newPassword }
}
