import type { LoginRule } from '@cryptvisor/control-plane-api'
import { Argument } from 'commander'
import type { Cli } from '../cli.ts'
import type { CliCommand } from '../command.ts'
import { getCode } from '../password.ts'
import { line } from '../printable.ts'
import { formatTime } from '../quantity.ts'
import { sheet } from '../table.ts'

interface CodeOptions {
  readonly codeFile?: string
}

/** `user totp`: second factors, one's own and others', and who needs one. */
export function addUserTotp(user: CliCommand, cli: Cli): void {
  const totp = user
    .command('totp')
    .description('second factor: a code of an authenticator app beside the password (TOTP, RFC 6238)')
  totp
    .command('show')
    .description('show whether you have a second factor, and how many recovery codes are left')
    .action(() =>
      cli.showAnswer(
        (client) => client.secondFactor(),
        ({ confirmedAt, recoveryCodesLeft, required }) =>
          sheet([
            ['second factor', confirmedAt === null ? 'none' : `since ${formatTime(confirmedAt)}`],
            ['recovery codes left', String(recoveryCodesLeft)],
            ['required of you', required ? 'yes' : 'no'],
          ]),
      ),
    )
  totp
    .command('enroll')
    .description(
      'make a secret for your authenticator app and show it, once; it counts after `user totp confirm`. API tokens need no code',
    )
    .section('Then', [
      'give the URI to your authenticator app, by hand or as a picture: qrencode -t ANSIUTF8',
      'and confirm with a code of it: cryptvisor user totp confirm',
    ])
    .action(() =>
      cli.showAnswer(
        (client) => client.enrollSecondFactor(),
        ({ uri, secret }) =>
          sheet([
            ['URI', uri],
            ['secret', secret],
          ]) + line('now confirm it with a code of your authenticator: cryptvisor user totp confirm'),
      ),
    )
  totp
    .command('confirm')
    .description(
      'have your logins need a code from now on; shows your recovery codes, once. Your other sessions end. The code that you confirm with does not count again: the next login takes the next one',
    )
    .option('--code-file <file>', 'read the code from a file (default: ask)')
    .action(async ({ codeFile }: CodeOptions) => {
      const code = await getCode(codeFile, cli.surroundings)
      await cli.showAnswer(
        (client) => client.confirmSecondFactor({ code }),
        ({ recoveryCodes }) =>
          line('your logins need a code now; keep these recovery codes, each stands in for a code once:') +
          recoveryCodes.map((each) => line(each)).join(''),
      )
    })
  totp
    .command('disable')
    .description('take your second factor off, for a code of it or a recovery code')
    .option('--code-file <file>', 'read the code from a file (default: ask)')
    .action(async ({ codeFile }: CodeOptions) => {
      const code = await getCode(codeFile, cli.surroundings)
      await cli.withClient((client) => client.disableSecondFactor({ code }))
      cli.show({ secondFactor: false }, () => line('your logins need no code any more'))
    })
  totp
    .command('reset')
    .description(
      'take the second factor of a user off who lost it; the user’s sessions end. Whoever lost that of the last administrator runs «control-plane recover-admin» on its machine',
    )
    .argument('<name>', 'the user')
    .examples('user totp reset kim')
    .action(async (name: string) => {
      await cli.withClient((client) => client.resetSecondFactor(name))
      cli.show({ reset: name }, () => line(`${name} has no second factor any more`))
    })
  totp
    .command('require')
    .description(
      'say who has to have a second factor, or show it; sessions of those who have none can do nothing but set one up, at once. Administrators are those with Authorization.ModifyPermissions on the root',
    )
    .addArgument(new Argument('[who]', 'of whom').choices(['nobody', 'administrators', 'everybody']))
    .examples('user totp require', 'user totp require administrators')
    .action((secondFactor?: LoginRule['secondFactor']) =>
      cli.showAnswer(
        (client) => (secondFactor === undefined ? client.loginRule() : client.setLoginRule({ secondFactor })),
        (rule) => line(`a second factor is required of ${rule.secondFactor}`),
      ),
    )
}
