import {
  type DeclaredOperation,
  type DeclaredRequestBatchItem,
  formatVersion,
  isDeclaredResponse,
  type RequestMessage,
  type RequestOf,
  type ResponseBatchItem,
  type ResponseMessage,
  type ResponseOf,
} from '@cryptvisor/kmip'
import { compareVersions, type Version, wipe } from '@cryptvisor/ttlv'
import { KmipClientError } from './kmip-client-error.ts'

/** One operation to ask for. */
export type BatchRequest = {
  [Name in DeclaredOperation]: { readonly operation: Name; readonly payload: RequestOf<Name> }
}[DeclaredOperation]

/** What came of one operation: the answer's payload, or why there is none. */
export type BatchResult<Name extends DeclaredOperation> = ResponseOf<Name> | KmipClientError

/** Header fields that a request may need. */
export interface BatchOptions {
  readonly batchErrorContinuationOption?: 'Continue' | 'Stop' | 'Undo'
  readonly batchOrderOption?: boolean
}

type Authentication = NonNullable<RequestMessage['requestHeader']['authentication']>

/** The message for a batch. Several items carry Unique Batch Item IDs: their place, in four bytes. */
export function requestMessage(
  version: Version,
  items: readonly BatchRequest[],
  options: BatchOptions,
  authentication: Authentication | null,
): RequestMessage {
  return {
    requestHeader: {
      protocolVersion: version,
      attestationType: [],
      ...(authentication === null ? {} : { authentication }),
      ...options,
      batchCount: items.length,
    },
    batchItem: items.map(
      ({ operation, payload }, index) =>
        // The payload is that of the operation, as `BatchRequest` says.
        ({
          operation,
          ...(items.length > 1 ? { uniqueBatchItemId: batchItemId(index) } : {}),
          requestPayload: payload,
        }) as DeclaredRequestBatchItem,
    ),
  }
}

/**
 * Finds the answer to each item, strictly: every answer belongs to one item and has its operation. Items that a server
 * left out after a failure count as failed. Throws a KmipClientError, and wipes the answer, when it does not fit or
 * refuses the message as a whole.
 */
export function matchResponse(
  version: Version,
  items: readonly BatchRequest[],
  message: ResponseMessage,
): BatchResult<DeclaredOperation>[] {
  try {
    const [first, ...others] = message.batchItem
    if (first !== undefined && others.length === 0 && isWholeMessageFailure(first, items)) {
      throw refusal(first, 'the request', true)
    }
    if (compareVersions(message.responseHeader.protocolVersion, version) !== 0) {
      throw new KmipClientError(
        'protocol',
        `the answer is of version ${formatVersion(message.responseHeader.protocolVersion)}, the request was of ${formatVersion(version)}`,
      )
    }
    return matchItems(items, message.batchItem)
  } catch (error) {
    wipe(message)
    throw error
  }
}

/** A failure without an operation, or without the ID that it should bring back: nothing in the message was looked at. */
function isWholeMessageFailure(item: ResponseBatchItem, items: readonly BatchRequest[]): boolean {
  return (
    item.resultStatus === 'OperationFailed' &&
    (item.operation === undefined || (items.length > 1 && item.uniqueBatchItemId === undefined))
  )
}

function matchItems(
  items: readonly BatchRequest[],
  answers: readonly ResponseBatchItem[],
): BatchResult<DeclaredOperation>[] {
  const results = new Map<number, BatchResult<DeclaredOperation>>()
  for (const answer of answers) {
    const index = items.length === 1 ? 0 : indexOf(answer.uniqueBatchItemId)
    const item = index === null ? undefined : items[index]
    if (index === null || item === undefined || results.has(index)) {
      throw new KmipClientError(
        'protocol',
        'an answer has the Unique Batch Item ID of no item, or of one answered already',
      )
    }
    if (answer.operation !== item.operation) {
      throw new KmipClientError('protocol', `${item.operation} was asked for, and ${answer.operation} is answered`)
    }
    results.set(index, resultOf(answer, item.operation))
  }
  const hasFailure = [...results.values()].some((result) => result instanceof KmipClientError)
  return items.map(({ operation }, index) => {
    const result = results.get(index)
    if (result !== undefined) return result
    if (!hasFailure) throw new KmipClientError('protocol', `${operation} was asked for and is not answered`)
    return new KmipClientError('operation-failed', `${operation} was not tried, since another of the batch failed`)
  })
}

function resultOf(answer: ResponseBatchItem, operation: DeclaredOperation): BatchResult<DeclaredOperation> {
  if (answer.resultStatus !== 'Success') {
    wipe(answer.responsePayload)
    return refusal(answer, operation, false)
  }
  if (!isDeclaredResponse(answer) || answer.responsePayload === undefined) {
    throw new KmipClientError('protocol', `${operation} succeeded, and its answer has no payload`)
  }
  return answer.responsePayload
}

function refusal(answer: ResponseBatchItem, what: string, isWholeMessage: boolean): KmipClientError {
  const resultReason = answer.resultReason ?? null
  const resultMessage = answer.resultMessage ?? null
  return new KmipClientError(
    'operation-failed',
    `the server refuses ${what}: ${resultReason ?? 'no reason'}${resultMessage === null ? '' : ` (${resultMessage})`}`,
    { refusal: { resultStatus: answer.resultStatus, resultReason, resultMessage, isWholeMessage } },
  )
}

function batchItemId(index: number): Uint8Array {
  const id = new Uint8Array(4)
  new DataView(id.buffer).setUint32(0, index + 1)
  return id
}

function indexOf(id: Uint8Array | undefined): number | null {
  if (id?.length !== 4) return null
  return new DataView(id.buffer, id.byteOffset, 4).getUint32(0) - 1
}
