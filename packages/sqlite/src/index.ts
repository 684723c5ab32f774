export { busyTimeoutMs, emptyWriteAheadLog, openDatabase } from './database.ts'
export { isUniqueViolation, SqliteError, type SqliteErrorCode } from './error.ts'
export { type Migration, migrate } from './migration.ts'
