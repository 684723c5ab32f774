import {
  ApplyPlanList,
  ApplyPolicies,
  ApplyStarted,
  AttachDisk,
  ChangeStoragePolicy,
  CreateStoragePolicy,
  DetachDisk,
  DetachedDiskList,
  encryptionPolicy,
  plainPolicy,
  StoragePolicy,
  StoragePolicyList,
  TaskStarted,
  VmComplianceList,
} from '@cryptvisor/control-plane-api'
import type { RestServer } from '@cryptvisor/rest'
import { cannedTime } from './canned.ts'
import type { FakeControlPlane } from './fake-control-plane.ts'

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
export function addFakePolicies(server: RestServer, made: Promise<FakeControlPlane>): void {
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
  addFakeCompliance(server, made)
}

function addFakeCompliance(server: RestServer, made: Promise<FakeControlPlane>): void {
  const reason = { part: 'disk 0', rule: 'thin', state: 'non-compliant', text: 'disk 0: it is raw' } as const
  const plan = {
    vm: 'db1',
    vmId: 'id-of-db1',
    steps: [{ action: 'rekey' as const, parts: ['VM Home'], keyProvider: 'kms', text: 'rekey VM Home' }],
    blocked: [reason],
  }
  const started = async (type: string) => ({ task: (await made).startTask(type, 'db1') })
  server.get(`${api}/compliance`, { schema: { response: { 200: VmComplianceList } } }, async () => ({
    vms: [
      {
        vm: 'db1',
        vmId: 'id-of-db1',
        host: 'host-a',
        state: 'non-compliant' as const,
        reasons: [reason, { ...reason, part: 'disk 1' }],
        parts: [],
        since: cannedTime,
        checkedAt: cannedTime,
      },
    ],
  }))
  server.get(`${api}/compliance/plan`, { schema: { response: { 200: ApplyPlanList } } }, async () => ({
    plans: [plan],
  }))
  server.post(
    `${api}/compliance/apply`,
    { schema: { body: ApplyPolicies, response: { 202: ApplyStarted } } },
    async (_request, reply) => reply.code(202).send({ ...(await started('policy.apply')), plans: [plan] }),
  )
  server.get(`${api}/detached-disks`, { schema: { response: { 200: DetachedDiskList } } }, async () => ({
    disks: [
      {
        layer: 'layer-1',
        datastore: 'fast',
        cluster: 'main',
        path: '/srv/vms/db1/layer-1.luks',
        format: 'raw' as const,
        sizeBytes: 1024,
        encrypted: true,
        key: { provider: 'kms', keyId: 'kek-1' },
        vm: 'db1',
        number: 1,
        detachedAt: cannedTime,
        detachedBy: 'admin',
        task: null,
      },
    ],
  }))
  const answers = { response: { 202: TaskStarted } }
  server.delete(`${api}/detached-disks/:layer`, { schema: answers }, async (_request, reply) =>
    reply.code(202).send(await started('disk.remove-detached')),
  )
  server.post(`${api}/vms/:vm/disks/attach`, { schema: { body: AttachDisk, ...answers } }, async (_request, reply) =>
    reply.code(202).send(await started('vm.attach-disk')),
  )
  server.post(
    `${api}/vms/:vm/disks/:number/detach`,
    { schema: { body: DetachDisk, ...answers } },
    async ({ body }, reply) =>
      reply.code(202).send(await started(body.remove === true ? 'vm.remove-disk' : 'vm.detach-disk')),
  )
}
