/** What can be wrong with a database: closed, so that a switch over it can be exhaustive. */
export type SqliteErrorCode =
  /** The file cannot be opened or created, or is no SQLite database. */
  | 'cannot-open'
  /** A newer program has already changed the database. */
  | 'newer-database'
  /** The database was migrated by another list of steps than the program's. */
  | 'other-migrations'
  /** A migration step failed; nothing was changed. */
  | 'migration-failed'

/** An error of this package; `cause` has the original where there is one. */
export class SqliteError extends Error {
  override readonly name = 'SqliteError'
  readonly code: SqliteErrorCode

  constructor(code: SqliteErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

const uniqueViolations: ReadonlySet<unknown> = new Set([
  2067, // SQLITE_CONSTRAINT_UNIQUE
  1555, // SQLITE_CONSTRAINT_PRIMARYKEY
  '23505', // PostgreSQL, unique_violation
])

/** Whether a statement failed because a row with the same unique value is there already, on SQLite or PostgreSQL. */
export function isUniqueViolation(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return (
    ('errcode' in error && uniqueViolations.has(error.errcode)) || ('code' in error && uniqueViolations.has(error.code))
  )
}
