export { emptyWriteAheadLog, openDatabase } from './database.ts'
export { isUniqueViolation, SqliteError, type SqliteErrorCode } from './error.ts'
export type { Migration } from './migration.ts'
export { currentRehearsal, type Rehearsal, rehearse } from './rehearsal.ts'
