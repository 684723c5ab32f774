import {
  type Approval,
  ApprovalList,
  Approval as ApprovalSchema,
  ApproveRequest,
  CloseRequest,
  type CoverageReport,
  DestroyedRetiredKeys,
  DestroyKey,
  DestroyRetiredKeys,
  EraseVm,
  Erasure,
  type ErasureCertificate,
  ErasureList,
  type KeyOrder,
  KeyOrderList,
  KeyOrder as KeyOrderSchema,
  KeyOrphanList,
  KeyRequested,
  KeyUsageGraph,
  RetiredKeyList,
  RevokeKey,
} from '@cryptvisor/control-plane-api'
import type { RestServer } from '@cryptvisor/rest'
import { cannedTime } from './canned.ts'

const api = '/api/v1'
const key = { provider: 'kms', keyId: 'kek-1' }

export const cannedOrder: KeyOrder = {
  id: 'order-1',
  ...key,
  action: 'destroy',
  cause: 'cessation-of-operation',
  state: 'scheduled',
  dueAt: cannedTime,
  user: 'admin',
  approvedBy: null,
  reason: null,
  problem: null,
  createdAt: cannedTime,
  endedAt: null,
}

export const cannedApproval: Approval = {
  id: 'approval-1',
  action: 'key.destroy',
  subject: 'destroy key kek-1 of provider kms',
  state: 'pending',
  reason: null,
  requestedBy: 'admin',
  createdAt: cannedTime,
  expiresAt: cannedTime,
  decidedBy: null,
  decidedAt: null,
  comment: null,
  task: null,
  impact: {
    keys: [key],
    users: [
      { key, kind: 'disk', id: 'disk-0', name: 'disk 0', owner: { kind: 'vm', id: 'vm-1', name: 'db1\u001b[2J' } },
    ],
    warnings: [],
  },
  digest: '0123456789abcdef'.repeat(4),
}

/** The VM `db1` and its clone share a key; the host has one of its own. */
export const cannedGraph: KeyUsageGraph = {
  nodes: [
    { id: 'key:kms/kek-1', kind: 'key', ref: 'kek-1', name: 'kms/kek-1', state: 'current' },
    { id: 'key:kms/kek-2', kind: 'key', ref: 'kek-2', name: 'kms/kek-2', state: 'retired' },
    { id: 'vm:vm-1', kind: 'vm', ref: 'vm-1', name: 'db1', state: null },
    { id: 'vm-home:vm-1', kind: 'vm-home', ref: 'vm-1', name: 'VM Home', state: null },
    { id: 'disk:disk-0', kind: 'disk', ref: 'disk-0', name: 'disk 0', state: null },
    { id: 'vm:vm-2', kind: 'vm', ref: 'vm-2', name: 'copy', state: null },
    { id: 'vm-home:vm-2', kind: 'vm-home', ref: 'vm-2', name: 'VM Home', state: null },
  ],
  edges: [
    { from: 'vm:vm-1', to: 'vm-home:vm-1', kind: 'has' },
    { from: 'vm-home:vm-1', to: 'key:kms/kek-1', kind: 'needs' },
    { from: 'vm:vm-1', to: 'disk:disk-0', kind: 'has' },
    { from: 'disk:disk-0', to: 'key:kms/kek-1', kind: 'needs' },
    { from: 'vm:vm-2', to: 'vm-home:vm-2', kind: 'has' },
    { from: 'vm-home:vm-2', to: 'key:kms/kek-1', kind: 'needs' },
  ],
  hiddenCount: 0,
  truncated: false,
}

export const cannedCertificate: ErasureCertificate = {
  format: 'cryptvisor/erasure-certificate/1',
  id: 'erasure-1',
  issuedAt: cannedTime,
  controlPlane: 'ab'.repeat(32),
  vm: {
    id: 'vm-1',
    name: 'db1<script>\u001b[2J',
    cluster: 'main',
    datastore: 'fast',
    path: '/srv/vms/db1',
    disks: [{ number: 0, layerId: 'layer-0', luksUuid: 'uuid', sizeBytes: 512, device: null, encrypted: true }],
  },
  requestedBy: 'admin',
  approvedBy: 'eve',
  approval: 'approval-1',
  reason: null,
  task: 'task-1',
  begunAt: cannedTime,
  keys: [{ ...key, answer: 'Destroyed', destroyedAt: cannedTime, before: false }],
  hosts: [{ name: 'host-b', outcome: 'absent', at: cannedTime, text: 'it was not connected' }],
  filesRemovedAt: cannedTime,
  notReached: ['Backups of the key server.'],
}

const cannedCoverage: CoverageReport = {
  generatedAt: cannedTime,
  totals: {
    vms: 2,
    encryptedVms: 1,
    partialVms: 0,
    plainVms: 1,
    disks: 1,
    encryptedDisks: 1,
    bytes: 512,
    encryptedBytes: 512,
    encryptedVmsPercent: 50,
    encryptedDisksPercent: 100,
    encryptedBytesPercent: 100,
  },
  rows: [
    {
      vm: 'web\u001b[2J',
      vmId: 'vm-2',
      cluster: 'main',
      host: 'host-a',
      part: 'VM Home',
      sizeBytes: null,
      encrypted: false,
      policy: 'Datastore Default',
      compliance: 'compliant',
      provider: null,
      keyId: null,
      keyAgeDays: null,
      keyState: null,
      lastVerified: null,
      lock: 'unlocked',
    },
  ],
}

/** What the fake control plane answers as the signed statement of `cannedCertificate`; put another one in its place. */
export const cannedErasure = { statement: '{}' }

/** Routes of the lives of keys, and of approvals. */
export function addFakeKeyLives(server: RestServer): void {
  server.get(`${api}/key-usage`, { schema: { response: { 200: KeyUsageGraph } } }, async () => cannedGraph)
  server.get(`${api}/key-orders`, { schema: { response: { 200: KeyOrderList } } }, async () => ({
    orders: [cannedOrder],
  }))
  const requested = ({ force }: { force?: boolean }) =>
    force === true ? { order: null, approval: cannedApproval } : { order: cannedOrder, approval: null }
  server.post(
    `${api}/keys/:provider/:keyId/destroy`,
    { schema: { body: DestroyKey, response: { 200: KeyRequested } } },
    async ({ body }) => requested(body),
  )
  server.post(
    `${api}/keys/:provider/:keyId/revoke`,
    { schema: { body: RevokeKey, response: { 200: KeyRequested } } },
    async ({ body }) => requested(body),
  )
  server.post(
    `${api}/keys/:provider/:keyId/restore`,
    { schema: { response: { 200: KeyOrderSchema } } },
    async () => cannedOrder,
  )
  server.get(`${api}/key-orphans`, { schema: { response: { 200: KeyOrphanList } } }, async () => ({
    orphans: [
      {
        provider: 'kms',
        keyId: 'kek-9',
        kind: 'foreign' as const,
        state: 'Active',
        createdAt: cannedTime,
        ageDays: 12,
        labels: { 'x-Name': 'other' },
        why: 'it belongs to another control plane',
        disposable: false,
      },
    ],
    failures: [{ provider: 'other', problem: 'it is down' }],
  }))
  server.get(`${api}/retired-keys`, { schema: { response: { 200: RetiredKeyList } } }, async () => ({
    keys: [
      {
        provider: 'kms',
        keyId: 'kek-2',
        owner: { kind: 'vm' as const, id: 'vm-1', name: 'db1' },
        createdAt: cannedTime,
        retiredAt: cannedTime,
        retiredDays: 3,
        destroyAt: null,
      },
    ],
  }))
  server.post(
    `${api}/retired-keys/destroy`,
    { schema: { body: DestroyRetiredKeys, response: { 200: DestroyedRetiredKeys } } },
    async () => ({ orders: [cannedOrder], skipped: [{ ...key, why: 'it is used' }] }),
  )
  server.post(`${api}/vms/:vm/erase`, { schema: { body: EraseVm, response: { 200: ApprovalSchema } } }, async () => ({
    ...cannedApproval,
    action: 'vm.erase',
  }))
  const erasure = { id: 'erasure-1', vm: { id: 'vm-1', name: 'db1' }, task: 'task-1', createdAt: cannedTime }
  server.get(`${api}/erasures`, { schema: { response: { 200: ErasureList } } }, async () => ({ erasures: [erasure] }))
  server.get(`${api}/erasures/:id`, { schema: { response: { 200: Erasure } } }, async () => ({
    ...erasure,
    ...cannedErasure,
    certificate: cannedCertificate,
  }))
  server.get(`${api}/reports/coverage`, async (request, reply) => {
    const { format } = request.query as { format: string }
    if (format === 'json') return reply.type('application/json').send(`${JSON.stringify(cannedCoverage)}\n`)
    return reply.type('text/plain').send(`${format}\r\nsecond line\r\n`)
  })
  server.get(`${api}/approvals`, { schema: { response: { 200: ApprovalList } } }, async () => ({
    approvals: [cannedApproval],
  }))
  server.get(`${api}/approvals/:id`, { schema: { response: { 200: ApprovalSchema } } }, async () => cannedApproval)
  server.post(
    `${api}/approvals/:id/approve`,
    { schema: { body: ApproveRequest, response: { 200: ApprovalSchema } } },
    async () => ({ ...cannedApproval, state: 'approved' as const, task: 'task-1' }),
  )
  for (const [verb, state] of [
    ['reject', 'rejected'],
    ['withdraw', 'withdrawn'],
  ] as const) {
    server.post(
      `${api}/approvals/:id/${verb}`,
      { schema: { body: CloseRequest, response: { 200: ApprovalSchema } } },
      async () => ({ ...cannedApproval, state }),
    )
  }
}
