/**
 * `unreachable`: another server of the directory may do better; `refused`: the directory does not let us ask;
 * `wrong`: what it answers does not hold, or is not what the settings say.
 */
export type LdapFailureKind = 'unreachable' | 'refused' | 'wrong'

/** A directory could not be asked. The text holds nothing that the directory wrote. */
export class LdapFailure extends Error {
  readonly kind: LdapFailureKind

  constructor(kind: LdapFailureKind, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'LdapFailure'
    this.kind = kind
  }
}

/** Why somebody is not let in; `cause` is for events and administrators, never for whoever tries. */
export class AccountRefusal extends Error {
  constructor(cause: string) {
    super(cause)
    this.name = 'AccountRefusal'
  }
}
