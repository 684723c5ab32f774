/** Our log. Fields name things by their IDs; a password, token, key or body is never among them. */
export interface Log {
  info(fields: object, text: string): void
  warn(fields: object, text: string): void
  error(fields: object, text: string): void
}
