import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Privilege } from '@cryptvisor/control-plane-api'
import fc from 'fast-check'
import { type ObjectPath, root } from '../inventory/inventory-object.ts'
import { type Grant, Grants } from './grants.ts'

const vm = { kind: 'vm', id: 'vm', name: 'web' } as const
const inner = { kind: 'folder', id: 'inner', name: '/a/b' } as const
const outer = { kind: 'folder', id: 'outer', name: '/a' } as const
const path: ObjectPath = [vm, inner, outer, root]

const grant = (object: ObjectPath[number], to: string, privileges: readonly Privilege[], propagate = true): Grant => ({
  ...{ object, role: 'a role', privileges: new Set(privileges), propagate },
  to: to === 'me' ? { kind: 'user', name: 'me' } : { kind: 'group', name: to },
})
const on = (grants: readonly Grant[], where: ObjectPath = path) =>
  [...new Grants(grants).privilegesOn(where)].toSorted()

test('vSphere’s rules: the nearest object decides, one’s own goes before groups’, groups unite', () => {
  const read = grant(root, 'me', ['System.Read'])
  assert.deepEqual(on([read]), ['System.Read'])
  assert.deepEqual(on([read, grant(vm, 'ops', ['VApp.Export'])]), ['VApp.Export'], 'a group’s nearer one')
  assert.deepEqual(on([read, grant(inner, 'me', [])]), [], 'NoAccess takes away')
  const [ops, dev] = [grant(outer, 'ops', ['VApp.Export']), grant(outer, 'dev', ['System.Read'])]
  assert.deepEqual(on([ops, dev]), ['System.Read', 'VApp.Export'], 'groups unite')
  assert.deepEqual(on([ops, dev, grant(outer, 'me', ['Global.CancelTask'])]), ['Global.CancelTask'], 'one’s own')
  assert.deepEqual(on([read, grant(inner, 'me', ['VApp.Export'], false)]), ['System.Read'], 'without propagation')
  assert.deepEqual(on([read, grant(inner, 'me', ['VApp.Export'], false)], [inner, outer, root]), ['VApp.Export'])
  assert.deepEqual(on([]), [])
})

test('whatever the grants: what decides comes from one object, and nothing further away changes it', () => {
  const grants = fc.array(
    fc.record({
      at: fc.integer({ min: 0, max: 3 }),
      to: fc.constantFrom('me', 'ops', 'dev'),
      privileges: fc.subarray<Privilege>(['System.Read', 'VApp.Export', 'Cryptographer.Decrypt']),
      propagate: fc.boolean(),
    }),
    { maxLength: 8 },
  )
  fc.assert(
    fc.property(grants, (described) => {
      const all = described.map(({ at, to, privileges, propagate }) =>
        // It is one of the four.
        grant(path[at] as ObjectPath[number], to, privileges, propagate),
      )
      const deciding = new Grants(all).deciding(path)
      const at = new Set(deciding.map(({ object }) => object.id))
      assert.ok(at.size <= 1, 'of one object')
      const isOwn = new Set(deciding.map(({ to }) => to.kind))
      assert.ok(isOwn.size <= 1, 'of oneself or of groups')
      const index = path.findIndex(({ id }) => at.has(id))
      const counting = all.filter(({ object, propagate }) => propagate || object.id === vm.id)
      for (const each of counting) {
        const distance = path.findIndex(({ id }) => id === each.object.id)
        assert.ok(deciding.length > 0 && distance >= index, 'nothing nearer was passed by')
      }
      const nearer = all.filter(({ object }) => path.findIndex(({ id }) => id === object.id) <= index)
      if (index >= 0) assert.deepEqual(new Grants(nearer).privilegesOn(path), new Grants(all).privilegesOn(path))
    }),
  )
})
