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
  State,
} from './objects.ts'
export { pageSizeDefault } from './page.ts'
