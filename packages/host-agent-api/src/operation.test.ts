import assert from 'node:assert/strict'
import { test } from 'node:test'
import { shapeCheck } from '@cryptvisor/rest'
import { OperationRequest } from './operation.ts'

const problemOf = shapeCheck(OperationRequest, 'operation')

const key = { provider: 'kms', keyId: '1' }
const vm = {
  vmId: 'vm-1',
  name: 'web',
  datastorePath: '/datastore',
  folder: 'web',
  generation: 1,
  policy: 'plain',
  encryption: null,
  disks: [],
}

test('a policy has the longest name that vm.json and the VM take, wherever a request names one', () => {
  for (const make of [
    (policy: string) => ({ kind: 'encrypt', vm, home: { key, policy }, disks: [] }),
    (policy: string) => ({ kind: 'encrypt', vm, home: null, disks: [{ diskId: 'a', key, policy }] }),
    (policy: string) => ({ kind: 'decrypt', vm, home: { policy }, disks: [] }),
    (policy: string) => ({ kind: 'decrypt', vm, home: null, disks: [{ diskId: 'a', policy }] }),
  ]) {
    assert.equal(problemOf(make('p'.repeat(80))), null)
    assert.notEqual(problemOf(make('p'.repeat(81))), null)
  }
})
