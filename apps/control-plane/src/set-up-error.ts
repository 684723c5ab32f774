/**
 * - `usage`: the command line is wrong.
 * - `already-set-up`: the data folder has a control plane, or what a set-up left that did not come to its end.
 * - `not-set-up`: the data folder has no configuration.
 * - `bad-config`: `config.json` says something that it must not, or cannot be trusted.
 * - `bad-password`: the password on standard input cannot be taken.
 * - `bad-place`: the root key would lie with the data.
 * - `port-taken`: where the configuration says to listen, we cannot.
 * - `bad-backup`: what is to be restored is no backup of ours, was changed, or is of a newer program.
 * - `unsafe-process`: it was started in a way that gives keys away.
 */
export type SetUpErrorCode =
  | 'usage'
  | 'already-set-up'
  | 'not-set-up'
  | 'bad-config'
  | 'bad-password'
  | 'bad-place'
  | 'port-taken'
  | 'bad-backup'
  | 'unsafe-process'

/** What whoever runs the program on its machine did wrong; users of the API never see it. */
export class SetUpError extends Error {
  readonly code: SetUpErrorCode

  constructor(code: SetUpErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'SetUpError'
    this.code = code
  }
}
