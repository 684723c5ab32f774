export { AuditCheck, AuditEntry, AuditPage, AuditQuery } from './audit.ts'
export { KeyServerAdminClient } from './client.ts'
export { CertificatePath, Client, ClientCertificate, ClientList } from './clients.ts'
export { Health } from './health.ts'
export {
  ManagedObject,
  ObjectAttribute,
  ObjectPath,
  ObjectsPage,
  ObjectsQuery,
  pageSizeDefault,
  pageSizeMax,
  State,
} from './objects.ts'
