import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { encryptionPolicy, type ObjectName, type Privilege, plainPolicy } from '@cryptvisor/control-plane-api'
import { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'
import { type Call, RestClient, RestClientError } from '@cryptvisor/rest/client'
import { type ContentRule, contentRules } from '../app/content-rules.ts'
import { ask } from '../testing/ask.ts'
import { type RouteDocument, routesOf } from '../testing/route-document.ts'
import { password, startWorkServer } from '../testing/work-server.ts'

type Grants = readonly (readonly [object: ObjectName, ...privileges: readonly Privilege[]])[]
type RuleName = keyof typeof contentRules

/** A request that makes a rule count, and exactly what it needs. */
interface Scenario {
  readonly route: string
  readonly rules: readonly RuleName[]
  readonly needs: Grants
  /** Only where the VM's host is not crypto-safe. */
  readonly unsafe?: true
  readonly act: (api: ControlPlaneClient) => Promise<unknown>
}

const vm = (name: string): ObjectName => ({ kind: 'vm', name })
const host: ObjectName = { kind: 'host', name: 'host-a' }
const store: ObjectName = { kind: 'datastore', name: 'store' }
const folder: ObjectName = { kind: 'folder', name: '/from' }
const into: ObjectName = { kind: 'folder', name: '/into' }
const room = [store, 'Datastore.AllocateSpace'] as const
const safe = [host, 'Cryptographer.RegisterHost'] as const
const policies: ObjectName = { kind: 'root', name: '/' }

const create = 'POST /api/v1/vms'
const policy = 'POST /api/v1/vms/{vm}/policy'
const disks = 'POST /api/v1/vms/{vm}/disks'
const clone = 'POST /api/v1/vms/{vm}/clone'
const attach = 'POST /api/v1/vms/{vm}/disks/attach'
const check = 'GET /api/v1/permissions/check'
const importVolume = 'POST /api/v1/vms/{vm}/disks/import-volume'
const oneDisk = [{ sizeBytes: 1024 }]
const volume = { format: 'raw', contentBytes: 1024 } as const

const cloneNeeds: Grants = [
  [vm('secret'), 'VirtualMachine.Provisioning.Clone', 'Cryptographer.Clone'],
  [into, 'VirtualMachine.Inventory.CreateFromExisting'],
  room,
]
const addNeeds = ['VirtualMachine.Config.AddNewDisk', 'Cryptographer.AddDisk'] as const
const newNeeds = [...addNeeds, 'Cryptographer.EncryptNew'] as const
const createNeeds = [
  'VirtualMachine.Inventory.Create',
  'Cryptographer.EncryptNew',
  'VirtualMachine.Config.AddNewDisk',
] as const
const createSecret = (api: ControlPlaneClient) =>
  api.createVm({ name: 'new', folder: '/from', host: 'host-a', policy: encryptionPolicy, disks: oneDisk })
const addSecret = (api: ControlPlaneClient) => api.addDisk('secret', { sizeBytes: 512, policy: encryptionPolicy })
const attachSecret = async (api: ControlPlaneClient) => {
  // What is detached is for whoever may see the VM that it was of; here its layer is known.
  await api.attachDisk('secret', { layer: detached.layer })
}
/** The encrypted disk that was detached while everything was set up. */
const detached = { layer: '' }

const scenarios: readonly Scenario[] = [
  {
    route: create,
    rules: ['createEncrypted', 'addDiskAtCreation', 'allocate'],
    needs: [[folder, ...createNeeds], room],
    act: createSecret,
  },
  {
    route: create,
    rules: ['makeSafe'],
    needs: [[folder, ...createNeeds], room, safe],
    unsafe: true,
    act: createSecret,
  },
  {
    route: policy,
    rules: ['encrypt'],
    needs: [[vm('plain'), 'StorageProfile.Apply', 'Cryptographer.Encrypt']],
    act: (api) => api.changePolicy('plain', { policy: encryptionPolicy }),
  },
  {
    route: policy,
    rules: ['makeSafe'],
    needs: [[vm('plain'), 'StorageProfile.Apply', 'Cryptographer.Encrypt'], safe],
    unsafe: true,
    act: (api) => api.changePolicy('plain', { policy: encryptionPolicy }),
  },
  {
    route: policy,
    rules: ['decrypt'],
    needs: [[vm('secret'), 'StorageProfile.Apply', 'Cryptographer.Decrypt']],
    act: (api) => api.changePolicy('secret', { policy: plainPolicy }),
  },
  {
    route: 'POST /api/v1/vms/{vm}/rekey',
    rules: ['makeSafe'],
    needs: [[vm('secret'), 'Cryptographer.Recrypt'], safe],
    unsafe: true,
    act: (api) => api.rekeyVm('secret', { depth: 'shallow' }),
  },
  {
    route: clone,
    rules: ['cloneInto', 'cloneEncrypted', 'allocate'],
    needs: cloneNeeds,
    act: (api) => api.cloneVm('secret', { name: 'copy', folder: '/into' }),
  },
  {
    route: clone,
    rules: ['makeSafe'],
    needs: [...cloneNeeds, safe],
    unsafe: true,
    act: (api) => api.cloneVm('secret', { name: 'copy', folder: '/into' }),
  },
  {
    route: 'POST /api/v1/vms/{vm}/move',
    rules: ['moveVmInto'],
    needs: [
      [vm('plain'), 'VirtualMachine.Inventory.Move'],
      [into, 'VirtualMachine.Inventory.Move'],
    ],
    act: (api) => api.moveVm('plain', { folder: '/into' }),
  },
  {
    route: 'POST /api/v1/folders/{folder}/move',
    rules: ['moveFolderInto'],
    needs: [
      [folder, 'Folder.Move'],
      [into, 'Folder.Move'],
    ],
    act: (api) => api.moveFolder('/from', { folder: '/into' }),
  },
  {
    route: disks,
    rules: ['addEncryptedDisk', 'addDiskToEncrypted', 'allocate'],
    needs: [[vm('secret'), ...newNeeds], room],
    act: addSecret,
  },
  {
    route: disks,
    rules: ['addDiskToEncrypted'],
    needs: [[vm('secret'), ...addNeeds], room],
    act: (api) => api.addDisk('secret', { sizeBytes: 512, policy: plainPolicy }),
  },
  {
    route: disks,
    rules: ['rawDevice'],
    needs: [[vm('plain'), 'VirtualMachine.Config.AddNewDisk', 'VirtualMachine.Config.RawDevice'], room],
    act: (api) => api.addDisk('plain', { sizeBytes: 512, device: '/dev/vdb' }),
  },
  { route: disks, rules: ['makeSafe'], needs: [[vm('secret'), ...newNeeds], room, safe], unsafe: true, act: addSecret },
  {
    route: 'POST /api/v1/vms/{vm}/disks/import',
    rules: ['addDiskToEncrypted', 'allocate'],
    needs: [[vm('secret'), ...addNeeds], room],
    act: (api) => api.importDisk('secret', { format: 'raw', contentBytes: 512 }),
  },
  {
    route: importVolume,
    rules: ['addEncryptedDisk', 'addDiskToEncrypted', 'allocate'],
    needs: [[vm('secret'), ...newNeeds], room],
    act: (api) => api.importVolume('secret', volume),
  },
  {
    route: importVolume,
    rules: ['makeSafe'],
    needs: [[vm('secret'), ...newNeeds], room, safe],
    unsafe: true,
    act: (api) => api.importVolume('secret', volume),
  },
  {
    route: 'POST /api/v1/vms/{vm}/disks/{number}/header-restore',
    rules: ['makeSafe'],
    needs: [[vm('secret'), 'Cryptographer.Access', 'VirtualMachine.Config.AddNewDisk'], safe],
    unsafe: true,
    act: (api) => api.restoreHeader('secret', 0, { contentBytes: 512 }),
  },
  {
    route: attach,
    rules: ['attachEncrypted'],
    needs: [[vm('secret'), 'VirtualMachine.Config.AddExistingDisk', 'Cryptographer.AddDisk']],
    act: attachSecret,
  },
  {
    route: attach,
    rules: ['makeSafe'],
    needs: [[vm('secret'), 'VirtualMachine.Config.AddExistingDisk', 'Cryptographer.AddDisk'], safe],
    unsafe: true,
    act: attachSecret,
  },
  {
    route: 'POST /api/v1/vms/{vm}/disks/{number}/export',
    rules: ['readEncrypted'],
    needs: [[vm('secret'), 'VApp.Export', 'Cryptographer.Access']],
    act: async (api) => (await api.exportDisk('secret', 0, { format: 'raw' })).stream.destroy(),
  },
  {
    route: 'POST /api/v1/vms/{vm}/power',
    rules: ['powerOn'],
    needs: [[vm('plain'), 'VirtualMachine.Interact.PowerOn']],
    act: (api) => api.changePower('plain', { action: 'power-on' }),
  },
  {
    route: 'POST /api/v1/vms/{vm}/power',
    rules: ['powerOn', 'makeSafe'],
    needs: [[vm('secret'), 'VirtualMachine.Interact.PowerOn'], safe],
    unsafe: true,
    act: (api) => api.changePower('secret', { action: 'power-on' }),
  },
  {
    route: 'POST /api/v1/hosts/{name}/move',
    rules: ['moveHostInto'],
    needs: [
      [{ kind: 'host', name: 'host-b' }, 'Host.Inventory.MoveHost', 'Cryptographer.RegisterHost'],
      [{ kind: 'cluster', name: 'second' }, 'Host.Inventory.AddHostToCluster', 'Cryptographer.RegisterHost'],
    ],
    act: (api) => api.moveHost('host-b', { cluster: 'second', acceptExposure: true }),
  },
  {
    route: 'POST /api/v1/policies',
    rules: ['managesEncryption'],
    needs: [[policies, 'StorageProfile.Update', 'Cryptographer.ManageEncryptionPolicy']],
    act: (api) => api.createPolicy({ name: 'Silver', encryption: true }),
  },
  {
    route: 'PATCH /api/v1/policies/{name}',
    rules: ['managesEncryption'],
    needs: [[policies, 'StorageProfile.Update', 'Cryptographer.ManageEncryptionPolicy']],
    act: (api) => api.changeStoragePolicy('Gold', { rotationDays: 30 }),
  },
  {
    route: 'DELETE /api/v1/policies/{name}',
    rules: ['managesEncryption'],
    needs: [[policies, 'StorageProfile.Update', 'Cryptographer.ManageEncryptionPolicy']],
    act: (api) => api.deletePolicy('Gold'),
  },
  {
    route: check,
    rules: ['checkOneself'],
    needs: [[vm('plain'), 'System.Read']],
    act: (api) => api.checkPermission({ user: 'tester', privilege: 'System.Read', ...vm('plain') }),
  },
  {
    route: check,
    rules: ['checkOthers'],
    needs: [[vm('plain'), 'Authorization.ModifyPermissions']],
    act: (api) => api.checkPermission({ user: 'admin', privilege: 'System.Read', ...vm('plain') }),
  },
]

/** Rules that other tests below `src/` act out, since they need another world. */
const elsewhere: Readonly<Record<string, string>> = {
  othersSessions: 'app/own-account.test.ts',
  othersTokens: 'app/access.test.ts',
  powerOff: 'app/work/machines/power.test.ts',
  reset: 'app/work/machines/power.test.ts',
  suspend: 'app/work/machines/power.test.ts',
  declareOff: 'app/work/machines/power.test.ts',
  migrateTo: 'app/work/machines/power.test.ts',
  migrateEncrypted: 'app/work/machines/power.test.ts',
  registerEncrypted: 'app/work/registration.test.ts',
  acceptPlain: 'app/work/registration.test.ts',
  applyEncrypts: 'app/work/compliance.test.ts',
  applyDecrypts: 'app/work/compliance.test.ts',
  applyRekeys: 'app/work/compliance.test.ts',
}

/** Sends each request as a dry run, where there is one. */
class DryClient extends RestClient {
  override call<Answer>(call: Call): Promise<Answer> {
    return super.call(call.method === 'GET' ? call : { ...call, query: { ...call.query, dryRun: true } })
  }
}

test('every rule of business code that a route declares is acted out', async (context) => {
  const { url, ca } = await startWorkServer(context)
  const document = (await ask(url, ca, { method: 'GET', path: '/openapi.json' })).body as RouteDocument
  const names = new Map(Object.entries(contentRules).map(([name, rule]) => [textOf(rule), name]))
  for (const { name, also } of routesOf(document)) {
    for (const rule of also) {
      const ruleName = names.get(textOf(rule))
      assert.ok(ruleName !== undefined, `${name}: a rule that is not one of contentRules`)
      const isActedOut = scenarios.some(({ route, rules }) => route === name && rules.some((each) => each === ruleName))
      const isRegistration = name.endsWith('/register') || name.endsWith('/reconciliation')
      const isElsewhere = isRegistration || ruleName in elsewhere
      assert.ok(isActedOut || isElsewhere, `${name}: nothing acts out ${ruleName}`)
    }
  }
})

test('what is acted out elsewhere names a test that is there', () => {
  for (const path of new Set(Object.values(elsewhere))) {
    assert.match(readFileSync(new URL(`../${path}`, import.meta.url), 'utf8'), /no-privilege|not-found/, path)
  }
})

test('each rule: with exactly what it needs it is done, and without any of it it is refused', async (context) => {
  const { admin, tester, give, safely } = await setUp(context)
  for (const scenario of scenarios) {
    await context.test(
      `${scenario.route}: ${scenario.rules.map((name) => contentRules[name].when).join('; ')}`,
      async () => {
        await safely(scenario.unsafe !== true)
        const { needs, act, rules } = scenario
        for (const name of rules) {
          for (const privilege of contentRules[name].privileges) {
            assert.ok(
              needs.some(([, ...privileges]) => privileges.includes(privilege)),
              `${name} is among what is needed`,
            )
          }
        }
        await give(needs)
        await act(tester)
        for (const [object, ...needed] of needs) {
          for (const privilege of needed) {
            const without = needs.map(([each, ...privileges]): Grants[number] =>
              each === object ? [each, ...privileges.filter((other) => other !== privilege)] : [each, ...privileges],
            )
            await give(without, privilege)
            await assert.rejects(act(tester), (error) => {
              assert.ok(error instanceof RestClientError, `${privilege} on ${object.kind} ${object.name}: ${error}`)
              if (privilege === 'System.Read') assert.equal(error.status, 404)
              else assert.equal(error.status, 403, `${privilege} on ${object.kind} ${object.name}: ${error.message}`)
              if (privilege !== 'System.Read') assert.ok(error.message.includes(privilege), error.message)
              return true
            })
          }
        }
      },
    )
  }
  assert.deepEqual(
    (await admin.vms()).vms.map(({ name, encryption }) => [name, encryption]),
    [
      ['plain', 'plain'],
      ['secret', 'encrypted'],
    ],
    'nothing was done but rehearsed',
  )
})

const textOf = ({ when, on, privileges }: { when: string; on: string; privileges: readonly string[] }) =>
  JSON.stringify([when, on, privileges] satisfies [ContentRule['when'], string, readonly string[]])

/** A plain and an encrypted VM in a folder, another folder, a second cluster, a policy, and a user `tester` with nothing. */
async function setUp(context: TestContext) {
  const server = await startWorkServer(context)
  const admin = server.admin.api
  const done = async (started: { readonly task: { readonly id: string } }) => {
    for (;;) {
      const { state, error } = await admin.task(started.task.id)
      if (state === 'success') return
      assert.ok(state === 'queued' || state === 'running', error?.message)
    }
  }
  for (const name of ['from', 'into']) await admin.createFolder({ name })
  await admin.createCluster({ name: 'second' })
  await admin.createPolicy({ name: 'Gold', encryption: true })
  await done(await admin.createVm({ name: 'plain', folder: '/from', host: 'host-a', disks: oneDisk }))
  const secret = { name: 'secret', folder: '/from', host: 'host-a', policy: encryptionPolicy }
  await done(await admin.createVm({ ...secret, disks: [...oneDisk, ...oneDisk] }))
  detached.layer = (await admin.disks('secret')).disks[1]?.layerId ?? ''
  await done(await admin.detachDisk('secret', 1, {}))

  await admin.createUser({ name: 'tester', password })
  const { token } = await admin.login({ user: 'tester', password })
  const dry = new DryClient({ url: server.url, ca: server.ca, bearerToken: token })
  const real = new RestClient({ url: server.url, ca: server.ca, bearerToken: token })
  context.after(() => Promise.all([dry, real].map((client) => client[Symbol.asyncDispose]())))
  const roles = new Map<string, string>()
  const roleOf = async (privileges: readonly Privilege[]) => {
    const key = privileges.toSorted().join(' ')
    const name = roles.get(key) ?? `role ${roles.size}`
    if (!roles.has(key)) await admin.createRole({ name, privileges: [...privileges] })
    roles.set(key, name)
    return name
  }
  const to = { kind: 'user' as const, name: 'tester' }
  return {
    admin,
    tester: new ControlPlaneClient(dry),
    /** Gives the tester these permissions and no others; what has one can be seen, unless seeing it is what is tried. */
    give: async (needs: Grants, missing: Privilege | null = null) => {
      for (const { object } of (await admin.permissions({ user: 'tester' })).permissions) {
        await admin.removePermission({ object, to })
      }
      for (const [object, ...privileges] of needs) {
        const all = new Set<Privilege>([...privileges, ...(missing === 'System.Read' ? [] : ['System.Read' as const])])
        await admin.setPermission({ object, to, role: await roleOf([...all]), propagate: false })
      }
    },
    /** Makes the host crypto-safe, or not, behind the control plane's back. */
    safely: (isSafe: boolean) =>
      server.withDatabase(async (database) => {
        const key = isSafe ? { host_key_provider: 'vault', host_key_id: 'key-1' } : noHostKey
        await database.updateTable('host').set(key).where('id', '=', 'host-a').execute()
      }),
  }
}

const noHostKey = { host_key_provider: null, host_key_id: null }
