export { attributeCountMax } from './attribute/attribute-bounds.ts'
export { attributeNameLengthMax } from './attribute/attribute-rules.ts'
export { allAttributes } from './attribute/attribute-view.ts'
export type { AuditRecord } from './audit-record.ts'
export type { Client } from './client.ts'
export { KmipServer, type KmipServerOptions, kmipPort } from './connection/kmip-server.ts'
export type { ServerIdentity } from './connection/tls-options.ts'
export { type Answer, MessageProcessor } from './message/message-processor.ts'
export { indexKeys } from './object/index-keys.ts'
export { advance } from './object/lifecycle.ts'
export type { LocateOrder, ObjectStore, ObjectTransaction } from './object/object-store.ts'
export { attributesSizeMax, decodeAttributes, encodeAttributes } from './object/stored-attributes.ts'
export {
  isDestroyed,
  type StoredAttribute,
  type StoredObject,
  type StoredObjectType,
  singleValue,
  stateOf,
  storedObjectTypes,
  type ValueFormat,
} from './object/stored-object.ts'
export type { ServerSettings } from './operation/operation-context.ts'
export type { ConnectionRefusal, EventSink, ServerEvent } from './server-event.ts'
export { defaultServerLimits, type ServerLimits } from './server-limits.ts'
