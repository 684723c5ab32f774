import { KeyRecordError } from '@cryptvisor/key-record'
import { LuksError } from '@cryptvisor/luks'
import { QmpError } from '@cryptvisor/qmp'
import { SealedFileError } from '@cryptvisor/sealed-file'
import { AgentError, type AgentErrorCode, type OperationErrorCode } from '../agent-error.ts'
import { DataPathError, type DataPathErrorCode } from '../data-path/index.ts'
import { errnoOf, ioError } from '../io-error.ts'

/** Any error of an operation as one with a code that the control plane knows. Faults of ours are `internal`. */
export function operationErrorOf(error: unknown): { readonly code: OperationErrorCode; readonly message: string } {
  const { code, message } = agentErrorOf(error)
  return { code: operationCodes[code] ?? 'internal', message }
}

/** Any error as one of the agent's. */
export function agentErrorOf(error: unknown): AgentError {
  if (error instanceof AgentError) return error
  if (error instanceof DataPathError) return new AgentError(dataPathCodes[error.code], error.message, { cause: error })
  if (error instanceof KeyRecordError) return new AgentError(codeOfRecord(error), error.message, { cause: error })
  if (error instanceof LuksError) return new AgentError('refused', error.message, { cause: error })
  if (error instanceof SealedFileError) {
    return new AgentError('refused', `VM Home’s sealed file does not open: ${error.message}`, { cause: error })
  }
  if (error instanceof QmpError) return new AgentError('machine-failed', error.message, { cause: error })
  if (errnoOf(error) !== null) return ioError('the file system failed', error)
  return new AgentError('internal', 'something failed on the host; the log of its agent has the cause', {
    cause: error,
  })
}

const dataPathCodes: Readonly<Record<DataPathErrorCode, AgentErrorCode>> = {
  'not-found': 'file-missing',
  'not-regular': 'datastore-mismatch',
  'already-exists': 'datastore-mismatch',
  'no-space': 'no-space',
  'size-mismatch': 'datastore-mismatch',
  'target-not-empty': 'datastore-mismatch',
  'source-changed': 'refused',
  truncated: 'datastore-mismatch',
  'padding-not-zero': 'datastore-mismatch',
  mismatch: 'verification-failed',
  'record-mismatch': 'datastore-mismatch',
  'bad-image': 'bad-image',
  'backing-file': 'bad-image',
  'external-data-file': 'bad-image',
  'encrypted-image': 'bad-image',
  'unsupported-image': 'bad-image',
  aborted: 'cancelled',
  io: 'io',
  'worker-failed': 'io',
}

/** Record errors that mean: this is not what the control plane knows. */
const mismatchCodes: ReadonlySet<KeyRecordError['code']> = new Set([
  'foreign-kid',
  'other-kind',
  'other-layer',
  'other-luks-uuid',
  'other-vm',
  'old-generation',
  'copies-conflict',
])

function codeOfRecord(error: KeyRecordError): AgentErrorCode {
  if (mismatchCodes.has(error.code)) return 'datastore-mismatch'
  if (error.code === 'not-a-recipient') return 'key-not-held'
  if (error.code !== 'no-valid-copy' || !(error.cause instanceof AggregateError)) return 'refused'
  const reasons = error.cause.errors.filter((reason) => reason instanceof KeyRecordError).map(codeOfRecord)
  if (reasons.includes('datastore-mismatch')) return 'datastore-mismatch'
  return reasons.length > 0 && reasons.every((code) => code === 'key-not-held') ? 'key-not-held' : 'refused'
}

const operationCodes: Partial<Record<AgentErrorCode, OperationErrorCode>> = {
  cancelled: 'cancelled',
  interrupted: 'interrupted',
  'key-not-held': 'key-not-held',
  'crypto-unsupported': 'crypto-unsupported',
  refused: 'refused',
  'vm-busy': 'vm-busy',
  'datastore-mismatch': 'datastore-mismatch',
  'file-missing': 'datastore-mismatch',
  'no-space': 'no-space',
  'bad-image': 'bad-image',
  'verification-failed': 'verification-failed',
  io: 'io',
  stopping: 'interrupted',
}
