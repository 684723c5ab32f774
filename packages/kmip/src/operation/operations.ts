import type { Item, Of } from '@cryptvisor/ttlv'
import type { Operation } from '../enumeration.ts'
import { type VersionRange, v1_0, v1_1 } from '../version.ts'
import { ActivateRequest, ActivateResponse } from './activate.ts'
import { AddAttributeRequest, AddAttributeResponse } from './add-attribute.ts'
import { CheckRequest, CheckResponse } from './check.ts'
import { CreateRequest, CreateResponse } from './create.ts'
import { DeleteAttributeRequest, DeleteAttributeResponse } from './delete-attribute.ts'
import { DestroyRequest, DestroyResponse } from './destroy.ts'
import { DiscoverVersionsRequest, DiscoverVersionsResponse } from './discover-versions.ts'
import { GetRequest, GetResponse } from './get.ts'
import { GetAttributeListRequest, GetAttributeListResponse } from './get-attribute-list.ts'
import { GetAttributesRequest, GetAttributesResponse } from './get-attributes.ts'
import { LocateRequest, LocateResponse } from './locate.ts'
import { ModifyAttributeRequest, ModifyAttributeResponse } from './modify-attribute.ts'
import { QueryRequest, QueryResponse } from './query.ts'
import { RegisterRequest, RegisterResponse } from './register.ts'
import { RevokeRequest, RevokeResponse } from './revoke.ts'

/** An operation: in which versions there is one, and what its payloads hold. */
export interface OperationDeclaration<Request = unknown, Response = unknown> extends VersionRange {
  readonly request: Item<Request>
  readonly response: Item<Response>
}

function operation<Request, Response>(
  range: VersionRange,
  request: Item<Request>,
  response: Item<Response>,
): OperationDeclaration<Request, Response> {
  return { ...range, request, response }
}

/** The operations that are declared here (KMIP 1.4, section 4). A new one is a file and a line in this table. */
export const operations = {
  Create: operation({ since: v1_0 }, CreateRequest, CreateResponse),
  Register: operation({ since: v1_0 }, RegisterRequest, RegisterResponse),
  Locate: operation({ since: v1_0 }, LocateRequest, LocateResponse),
  Check: operation({ since: v1_0 }, CheckRequest, CheckResponse),
  Get: operation({ since: v1_0 }, GetRequest, GetResponse),
  GetAttributes: operation({ since: v1_0 }, GetAttributesRequest, GetAttributesResponse),
  GetAttributeList: operation({ since: v1_0 }, GetAttributeListRequest, GetAttributeListResponse),
  AddAttribute: operation({ since: v1_0 }, AddAttributeRequest, AddAttributeResponse),
  ModifyAttribute: operation({ since: v1_0 }, ModifyAttributeRequest, ModifyAttributeResponse),
  DeleteAttribute: operation({ since: v1_0 }, DeleteAttributeRequest, DeleteAttributeResponse),
  Activate: operation({ since: v1_0 }, ActivateRequest, ActivateResponse),
  Revoke: operation({ since: v1_0 }, RevokeRequest, RevokeResponse),
  Destroy: operation({ since: v1_0 }, DestroyRequest, DestroyResponse),
  Query: operation({ since: v1_0 }, QueryRequest, QueryResponse),
  DiscoverVersions: operation({ since: v1_1 }, DiscoverVersionsRequest, DiscoverVersionsResponse),
} as const

/** An operation whose payloads are declared. */
export type DeclaredOperation = keyof typeof operations
/** What is asked for an operation. */
export type RequestOf<Name extends DeclaredOperation> = Of<(typeof operations)[Name]['request']>
/** What is answered to it. */
export type ResponseOf<Name extends DeclaredOperation> = Of<(typeof operations)[Name]['response']>

/** Whether an operation's payloads are declared. */
export function isDeclaredOperation(name: Operation | number | undefined): name is DeclaredOperation {
  return typeof name === 'string' && Object.hasOwn(operations, name)
}
