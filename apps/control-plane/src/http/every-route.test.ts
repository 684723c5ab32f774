import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { privileges } from '@cryptvisor/control-plane-api'
import { createWork } from '../create-work.ts'
import { type Answer, ask } from '../testing/ask.ts'
import { password, startBench } from '../testing/bench.ts'
import { type DocumentedRoute, type RouteDocument, routesOf } from '../testing/route-document.ts'

/** Routes for whoever asks. `/openapi.json` is one too, and is not in itself. */
const forEverybody: Readonly<Record<string, string>> = {
  'POST /api/v1/login': 'nobody has a token before',
  'GET /api/v1/login/sources': 'as POST /api/v1/login: names alone',
  'POST /api/v1/login/device': 'as POST /api/v1/login',
  'POST /api/v1/login/device/finish': 'as POST /api/v1/login',
  'POST /api/v1/login/oidc': 'as POST /api/v1/login',
  'POST /api/v1/login/oidc/finish': 'as POST /api/v1/login',
  'GET /livez': 'whoever supervises the process has no token; it says nothing',
  'GET /readyz': 'as /livez',
}

/** Routes that need a login and no privilege. */
const forWhoeverIsLoggedIn: Readonly<Record<string, string>> = {
  'POST /api/v1/logout': 'ends what shows the request itself',
  'GET /api/v1/me': 'says what the caller has',
  'GET /api/v1/tokens': 'one’s own; others’ need Authorization.ModifyPermissions (tokens.ts)',
  'POST /api/v1/tokens': 'one’s own, with no more than one has',
  'GET /api/v1/permissions/check': 'about oneself; others need Authorization.ModifyPermissions (permissions.ts)',
  'GET /api/v1/me/second-factor': 'one’s own',
  'POST /api/v1/me/second-factor': 'one’s own; counts when it was confirmed',
  'POST /api/v1/me/second-factor/confirm': 'one’s own, for a code of it',
  'POST /api/v1/me/second-factor/disable': 'one’s own, for a code of it',
  'POST /api/v1/me/password': 'one’s own, for the old one',
  'GET /api/v1/sessions': 'one’s own; others’ need Sessions.TerminateSession (user-sessions.ts)',
  'DELETE /api/v1/sessions/{id}': 'one’s own; others’ need Sessions.TerminateSession (user-sessions.ts)',
  'DELETE /api/v1/tokens/{id}': 'one’s own; others’ need Authorization.ModifyPermissions (tokens.ts)',
}

/** A route as this test calls it. */
interface Route extends Omit<DocumentedRoute, 'body'> {
  readonly body: string
}

const routesIn = (document: RouteDocument): Route[] =>
  routesOf(document).map((route) => ({
    ...route,
    path: route.path.replaceAll(/\{[^}]+\}/g, 'example'),
    body: route.contentType === 'application/json' ? JSON.stringify(route.body) : '',
  }))

/** What an answer that is an error says. */
function errorOf({ body }: Answer): { code?: string; message?: string } {
  return (body as { error?: object } | null)?.error ?? {}
}

test('every route asks for a login and for its privileges, and for nothing else', async (context) => {
  const bench = await startBench(context, createWork)
  const { service, ca } = bench
  const document = (await ask(service.url, ca, { method: 'GET', path: '/openapi.json' })).body as RouteDocument
  const committed = readFileSync(new URL('../../../../docs/openapi.json', import.meta.url), 'utf8')
  assert.deepEqual(Object.keys(document.paths), Object.keys((JSON.parse(committed) as RouteDocument).paths))
  const routes = routesIn(document)
  assert.ok(routes.length > 40, 'the routes were found')

  const admin = await bench.logIn()
  await admin.createRole({ name: 'nothing', privileges: [] })
  const made = new Map<string, string>()
  /** A role of these privileges and no others. */
  const roleOf = async (needed: readonly string[]) => {
    const known = made.get(needed.join())
    if (known !== undefined) return known
    const name = `only these ${made.size + 1}`
    await admin.createRole({ name, privileges: [...needed] })
    made.set(needed.join(), name)
    return name
  }
  for (const privilege of privileges) {
    await admin.createRole({ name: `not ${privilege}`, privileges: privileges.filter((other) => other !== privilege) })
  }
  await admin.createUser({ name: 'tester', password, role: 'nothing' })
  const logIn = async () => (await bench.client().login({ user: 'tester', password })).token
  let token = await logIn()

  const call = ({ method, path, contentType, body }: Route, shown: string | null) =>
    ask(service.url, ca, {
      method,
      path,
      headers: {
        ...(shown === null ? {} : { authorization: `Bearer ${shown}` }),
        ...(contentType === null ? {} : { 'content-type': contentType, 'content-length': String(body.length) }),
      },
      body,
    })

  for (const route of routes) {
    const { name, needed, isPublic } = route
    if (isPublic) {
      assert.ok(name in forEverybody, `${name} is for everybody: say why`)
      continue
    }
    const methods = route.method === 'GET' ? ['GET', 'HEAD'] : [route.method]
    for (const method of methods) {
      const nobody = await call({ ...route, method }, null)
      // The stream of events has no HEAD.
      if (method === 'HEAD' && nobody.status === 404) continue
      assert.equal(nobody.status, 401, `${method} ${route.path}`)
      assert.equal(nobody.headers['www-authenticate'], 'Bearer', name)
      assert.equal((await call({ ...route, method }, `cvs_${'A'.repeat(43)}`)).status, 401, name)
    }
    if (needed.length === 0) {
      assert.ok(name in forWhoeverIsLoggedIn, `${name} needs no privilege: say why`)
      const answer = await call(route, token)
      assert.ok(![401, 403].includes(answer.status), `${name} answered ${answer.status}`)
      if (name === 'POST /api/v1/logout') token = await logIn()
      continue
    }
    for (const privilege of needed) {
      await admin.changeUser('tester', { role: `not ${privilege}` })
      const answer = await call(route, token)
      assert.equal(answer.status, 403, name)
      assert.equal(errorOf(answer).code, 'no-privilege', name)
      assert.match(errorOf(answer).message ?? '', new RegExp(privilege.replaceAll('.', '\\.')), name)
    }
    await admin.changeUser('tester', { role: await roleOf(needed) })
    const answer = await call(route, token)
    assert.ok(![401, 403].includes(answer.status), `${name} answered ${answer.status} to who has its privilege`)
    assert.notEqual(answer.status, 500, name)
    assert.doesNotMatch(errorOf(answer).message ?? '', /^(body|there is no such field)/, `${name}: not a good body`)
  }
  for (const name of [...Object.keys(forEverybody), ...Object.keys(forWhoeverIsLoggedIn)]) {
    assert.ok(
      routes.some((route) => route.name === name),
      `${name} is not there any more`,
    )
  }
})
