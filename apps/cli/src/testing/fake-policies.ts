import {
  ChangeStoragePolicy,
  CreateStoragePolicy,
  encryptionPolicy,
  plainPolicy,
  StoragePolicy,
  StoragePolicyList,
} from '@cryptvisor/control-plane-api'
import type { RestServer } from '@cryptvisor/rest'

const api = '/api/v1'

const canned: StoragePolicy = {
  id: 'p-1',
  name: encryptionPolicy,
  description: 'encrypts',
  version: 1,
  system: true,
  encryption: true,
  keyProvider: null,
  thin: false,
  verify: false,
  rotationDays: null,
  onRevocation: 'keep-running',
  graceMinutes: null,
  hardened: false,
  usedBy: { homes: 1, disks: 2 },
  changedAt: null,
  changedBy: null,
}

/** The routes of storage policies. */
export function addFakePolicies(server: RestServer): void {
  server.get(`${api}/policies`, { schema: { response: { 200: StoragePolicyList } } }, async () => ({
    policies: [canned, { ...canned, id: 'p-2', name: plainPolicy, description: 'does not', encryption: false }],
  }))
  server.get(`${api}/policies/:name`, { schema: { response: { 200: StoragePolicy } } }, async () => canned)
  server.post(
    `${api}/policies`,
    { schema: { body: CreateStoragePolicy, response: { 201: StoragePolicy } } },
    async ({ body: { cloneOf: _, ...rules } }, reply) => reply.code(201).send({ ...canned, system: false, ...rules }),
  )
  server.patch(
    `${api}/policies/:name`,
    { schema: { body: ChangeStoragePolicy, response: { 200: StoragePolicy } } },
    async ({ body }) => ({ ...canned, version: 2, ...body }),
  )
  server.delete(`${api}/policies/:name`, async (_request, reply) => reply.code(204).send())
}
