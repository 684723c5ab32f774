import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ObjectName } from '@cryptvisor/control-plane-api'
import { createWork } from '../create-work.ts'
import { type Answer, ask } from '../testing/ask.ts'
import { password, startBench } from '../testing/bench.ts'
import { type DocumentedRoute, type RouteDocument, routesOf } from '../testing/route-document.ts'
import {
  clusterOf,
  datastoreOf,
  fillTwoSides,
  folderOf,
  hostOf,
  policyOf,
  providerOf,
  type Side,
  taskOf,
  vmOf,
} from '../testing/two-tenants.ts'

/** How a route is told of its object: by a path parameter, or by a member of its body. */
interface Place {
  readonly parameter: string
  readonly member: string
  readonly value: (side: Side) => unknown
  /** On what a permission for it is given. */
  readonly object: (side: Side) => ObjectName
}

const ofVm = (side: Side): ObjectName => ({ kind: 'vm', name: vmOf(side) })
const ofFolder = (side: Side): ObjectName => ({ kind: 'folder', name: folderOf(side) })
const named = (kind: ObjectName['kind'], name: (side: Side) => string): Place => ({
  ...{ parameter: 'name', member: kind, value: name, object: (side) => ({ kind, name: name(side) }) },
})

/** Each object that a route may ask on, in the words of `http/objects.ts`. */
const places: Readonly<Record<string, Place>> = {
  'the VM': { parameter: 'vm', member: 'vm', value: vmOf, object: ofVm },
  'the host': named('host', hostOf),
  'the cluster': named('cluster', clusterOf),
  'the datastore': named('datastore', datastoreOf),
  'the policy': named('policy', policyOf),
  'the key provider': named('key-provider', providerOf),
  'the folder': { parameter: 'folder', member: 'folder', value: folderOf, object: ofFolder },
  'the folder that it is to lie in': { parameter: '', member: 'parent', value: folderOf, object: ofFolder },
  "the task's target": { parameter: 'id', member: '', value: taskOf, object: ofVm },
  "the task's target, unless the task is one's own": { parameter: 'id', member: '', value: taskOf, object: ofVm },
  'the object': { parameter: '', member: 'object', value: ofVm, object: ofVm },
}

const listed = 'each that is listed'

/** Lists that have nothing of one's own here. */
const emptyLists: Readonly<Record<string, string>> = {
  'GET /api/v1/permissions': 'the only ones on it are those of the caller, which it shows',
  'GET /api/v1/detached-disks': 'no disk is detached',
}

/** Lists that this test does not ask for. */
const notAsked: Readonly<Record<string, string>> = {
  'GET /api/v1/events/stream': 'has no end; the same query as that of the list',
  'GET /api/v1/compliance/plan': 'has to be told of which VMs; compliance.test.ts',
}

/** What an answer that is an error says. */
function errorOf({ body }: Answer): { code?: string; message?: string } {
  return (body as { error?: object } | null)?.error ?? {}
}

test('every route asks on the object that it says, and a permission on one gives nothing on its sibling', async (context) => {
  const bench = await startBench(context, createWork)
  await bench.withDatabase(fillTwoSides)
  const { service, ca } = bench
  for (const side of ['mine', 'other'] as const) {
    for (const event of [{ vm: vmOf(side) }, { host: hostOf(side) }]) {
      await service.platform.events.record({ type: 'vm.created', text: `of ${side}-side`, ...event })
    }
  }
  const document = (await ask(service.url, ca, { method: 'GET', path: '/openapi.json' })).body as RouteDocument
  const routes = routesOf(document)
  const admin = await bench.logIn()
  await admin.createUser({ name: 'tester', password })
  const { token } = await bench.client().login({ user: 'tester', password })

  const roles = new Set<string>()
  const roleOf = async (needed: readonly string[]) => {
    const name = `role ${[...needed].toSorted().join(' ')}`.slice(0, 80).trimEnd()
    if (!roles.has(name)) await admin.createRole({ name, privileges: [...needed] })
    roles.add(name)
    return name
  }
  /** Has the tester have these privileges on these objects, and nothing else. */
  const give = async (...grants: readonly (readonly [ObjectName, readonly string[]])[]) => {
    const to = { kind: 'user' as const, name: 'tester' }
    for (const { object } of (await admin.permissions({ user: 'tester' })).permissions) {
      await admin.removePermission({ object, to })
    }
    for (const [object, needed] of grants) await admin.setPermission({ object, to, role: await roleOf(needed) })
  }
  const call = (route: DocumentedRoute, place: Place | null, side: Side): Promise<Answer> => {
    const { method, path, contentType } = route
    const inPath = place !== null && path.includes(`{${place.parameter}}`)
    const value = place?.value(side)
    const url = path
      .replace(`{${place?.parameter ?? ''}}`, encodeURIComponent(String(value)))
      .replace('{number}', '0')
      .replaceAll(/\{[^}]+\}/g, 'example')
    const example = typeof route.body === 'object' && route.body !== null ? route.body : {}
    const body = place === null || inPath ? example : { ...example, [place.member]: value }
    const text = contentType === 'application/json' ? JSON.stringify(body) : ''
    const type = contentType === null ? {} : { 'content-type': contentType, 'content-length': String(text.length) }
    return ask(service.url, ca, {
      method,
      path: route.hasDryRun ? `${url}?dryRun=true` : url,
      headers: { authorization: `Bearer ${token}`, ...type },
      body: text,
    })
  }

  const onObjects = routes.filter(({ object }) => object !== null && object !== 'the root' && object !== listed)
  assert.ok(onObjects.length > 30, 'the routes were found')
  for (const route of onObjects) {
    await context.test(route.name, async () => {
      const place = places[route.object ?? '']
      assert.ok(place !== undefined, `${route.object} is not in the table of this test`)
      const { needed, also } = route
      await give([place.object('mine'), needed])
      const mine = await call(route, place, 'mine')
      const { code, message = '' } = errorOf(mine)
      assert.ok(![401, 500].includes(mine.status), `with its privilege: ${mine.status} ${message}`)
      if (code === 'no-privilege' && !message.includes('who began it')) {
        const wanted = also.flatMap(({ privileges }) => privileges)
        assert.ok(
          wanted.some((privilege) => message.includes(privilege)),
          `it asks for more than it says: ${message}`,
        )
      }
      if (code === 'not-found') assert.ok(!message.endsWith(` ${place.object('mine').name}`), message)

      const other = await call(route, place, 'other')
      assert.equal(other.status, 404, `on the sibling: ${other.status} ${errorOf(other).message}`)
      assert.doesNotMatch(JSON.stringify(other.body), /id-of-other/)

      for (const privilege of needed) {
        const rest = [...new Set([...needed.filter((each) => each !== privilege), 'System.Read'])]
        await give([place.object('other'), needed], [place.object('mine'), privilege === 'System.Read' ? [] : rest])
        const refused = await call(route, place, 'mine')
        if (privilege === 'System.Read') {
          assert.equal(refused.status, 404, 'what may not be seen is not there')
          continue
        }
        assert.equal(refused.status, 403, `without ${privilege}: ${refused.status} ${errorOf(refused).message}`)
        assert.ok(errorOf(refused).message?.includes(privilege), errorOf(refused).message)
        assert.match(errorOf(refused).message ?? '', /mine-/, 'it says on what')
      }
    })
  }

  const all = (await admin.roles()).roles.find(({ name }) => name === 'Admin')?.privileges ?? []
  await context.test(
    'whoever has everything on everything but the root can do nothing that is of the root',
    async () => {
      const objects = [...new Set(Object.values(places).map(({ object }) => JSON.stringify(object('mine'))))]
      // Written a line above.
      await give(...objects.map((text) => [JSON.parse(text) as ObjectName, all] as const), [ofFolder('mine'), all])
      for (const route of routes.filter(({ object }) => object === 'the root')) {
        const answer = await call(route, null, 'mine')
        assert.equal(answer.status, 403, `${route.name} answered ${answer.status}`)
        assert.ok(
          route.needed.some((privilege) => errorOf(answer).message?.includes(privilege)),
          route.name,
        )
      }
    },
  )

  await context.test('lists have what one may see and nothing else', async () => {
    const objects = [...new Set(Object.values(places).map(({ object }) => JSON.stringify(object('mine'))))]
    // Written a line above.
    await give(...objects.map((text) => [JSON.parse(text) as ObjectName, all] as const), [ofFolder('mine'), all])
    const lists = routes.filter(
      ({ object, method, name }) => object === listed && method === 'GET' && !(name in notAsked),
    )
    assert.ok(lists.length > 7, 'the lists were found')
    for (const route of lists) {
      const answer = await call(route, null, 'mine')
      assert.equal(answer.status, 200, route.name)
      const text = JSON.stringify(answer.body)
      assert.doesNotMatch(text, /other-/, route.name)
      if (!(route.name in emptyLists)) assert.match(text, /mine-/, route.name)
    }
    await give([{ kind: 'root', name: '/' }, all])
    for (const route of lists.filter(({ name }) => !(name in emptyLists))) {
      assert.match(
        JSON.stringify((await call(route, null, 'mine')).body),
        /other-/,
        `${route.name}: all of it for an administrator`,
      )
    }
  })
})
