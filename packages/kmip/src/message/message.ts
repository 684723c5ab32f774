import { type Of, repeated, structure } from '@cryptvisor/ttlv'
import { Tag } from '../tag.ts'
import { RequestBatchItem } from './request-batch-item.ts'
import { RequestHeader } from './request-header.ts'
import { ResponseBatchItem } from './response-batch-item.ts'
import { ResponseHeader } from './response-header.ts'

/** KMIP 1.4, 7.1. */
export const RequestMessage = structure(Tag.RequestMessage, {
  requestHeader: RequestHeader,
  batchItem: repeated(RequestBatchItem),
})
export type RequestMessage = Of<typeof RequestMessage>

/** KMIP 1.4, 7.1. */
export const ResponseMessage = structure(Tag.ResponseMessage, {
  responseHeader: ResponseHeader,
  batchItem: repeated(ResponseBatchItem),
})
export type ResponseMessage = Of<typeof ResponseMessage>
