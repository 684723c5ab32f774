/**
 * - `usage`: the command line is wrong.
 * - `already-set-up`: the data folder is not empty of us.
 * - `not-set-up`: the data folder has no configuration.
 * - `bad-config`: `config.json` says something that it must not.
 * - `bad-password`: the password on standard input cannot be taken.
 * - `bad-place`: the root key would lie with the data.
 */
export type SetUpErrorCode = 'usage' | 'already-set-up' | 'not-set-up' | 'bad-config' | 'bad-password' | 'bad-place'

/** What whoever runs the program on its machine did wrong; users of the API never see it. */
export class SetUpError extends Error {
  readonly code: SetUpErrorCode

  constructor(code: SetUpErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'SetUpError'
    this.code = code
  }
}
