import { pathOf, type RestClient } from '@cryptvisor/rest'
import type { AuditCheck, AuditPage, AuditQuery } from './audit.ts'
import type { ClientList } from './clients.ts'
import type { Health } from './health.ts'
import type { ManagedObject, ObjectsPage, ObjectsQuery } from './objects.ts'

/** Calls a key server's admin API with an administrator's certificate. Every method throws `RestClientError`. */
export class KeyServerAdminClient {
  readonly #rest: RestClient

  constructor(rest: RestClient) {
    this.#rest = rest
  }

  /** `GET /v1/health` */
  health(): Promise<Health> {
    return this.#rest.call({ method: 'GET', path: '/v1/health' })
  }

  /** `GET /v1/objects`: of all clients. */
  objects(query: ObjectsQuery = {}): Promise<ObjectsPage> {
    return this.#rest.call({ method: 'GET', path: '/v1/objects', query })
  }

  /** `GET /v1/objects/{id}`; 404 when there is none. */
  object(id: string): Promise<ManagedObject> {
    return this.#rest.call({ method: 'GET', path: pathOf('v1', 'objects', id) })
  }

  /** `GET /v1/audit` */
  audit(query: AuditQuery = {}): Promise<AuditPage> {
    return this.#rest.call({ method: 'GET', path: '/v1/audit', query })
  }

  /** `GET /v1/audit/check`: reads the whole audit, which takes a while when it is long. */
  checkAudit(): Promise<AuditCheck> {
    return this.#rest.call({ method: 'GET', path: '/v1/audit/check', timeoutMs: 600_000 })
  }

  /** `GET /v1/clients` */
  clients(): Promise<ClientList> {
    return this.#rest.call({ method: 'GET', path: '/v1/clients' })
  }

  /** `POST /v1/certificates/{fingerprint}/revocation`: refuses it from now on, and ends its connections. */
  async revokeCertificate(fingerprint: string): Promise<void> {
    await this.#rest.call({ method: 'POST', path: pathOf('v1', 'certificates', fingerprint, 'revocation') })
  }
}
