import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encryptionPolicy, plainPolicy } from '@cryptvisor/control-plane-api'
import { cannedEvent } from '../testing/canned.ts'
import { openDesk } from '../testing/desk.ts'
import type { RecordedCall } from '../testing/fake-control-plane.ts'
import { get, post, remove } from '../testing/recorded-calls.ts'

/** Each command line and the calls that it makes, besides those that ask how its task is. */
const commands: readonly (readonly [args: readonly string[], ...calls: readonly RecordedCall[]])[] = [
  [['whoami'], get('/me')],
  [['cluster', 'list'], get('/clusters')],
  [['cluster', 'add', 'new'], post('/clusters', { name: 'new' })],
  [['cluster', 'remove', 'old one'], remove('/clusters/old%20one')],
  [['datastore', 'list'], get('/datastores')],
  [
    ['datastore', 'add', 'fast', '--cluster', 'main', '--path', '/srv/vms'],
    post('/datastores', { name: 'fast', cluster: 'main', path: '/srv/vms' }),
  ],
  [['datastore', 'remove', 'fast'], remove('/datastores/fast')],
  [['host', 'list'], get('/hosts')],
  [['host', 'show', 'host-a'], get('/hosts/host-a'), get('/hosts/host-a/key-persistence')],
  [
    ['host', 'enroll', 'host-c', '--cluster', 'main'],
    post('/hosts/enrolment-tokens', { name: 'host-c', cluster: 'main' }),
  ],
  [['host', 'remove', 'host-a'], remove('/hosts/host-a')],
  [['policy', 'list'], get('/policies')],
  [['policy', 'show', 'Gold'], get('/policies/Gold')],
  [['policy', 'add', 'Plain'], post('/policies', { name: 'Plain' })],
  [
    [
      ...['policy', 'add', 'Gold', '--encrypt', '--key-provider', 'kms', '--thin', '--verify', '--rotate-after', '90'],
      ...['--on-revocation', 'stop-after-grace', '--grace', '60', '--hardened', '--description', 'for gold'],
    ],
    post('/policies', {
      name: 'Gold',
      description: 'for gold',
      encryption: true,
      keyProvider: 'kms',
      thin: true,
      verify: true,
      rotationDays: 90,
      onRevocation: 'stop-after-grace',
      graceMinutes: 60,
      hardened: true,
    }),
  ],
  [
    ['policy', 'clone', encryptionPolicy, 'Gold', '--rotate-after', '90'],
    post('/policies', { name: 'Gold', cloneOf: encryptionPolicy, rotationDays: 90 }),
  ],
  [
    [
      ...['policy', 'change', 'Gold', '--no-encrypt', '--key-provider', 'default', '--no-thin', '--no-verify'],
      ...['--rotate-after', 'never', '--no-hardened'],
    ],
    {
      call: 'PATCH /api/v1/policies/Gold',
      body: { encryption: false, keyProvider: null, thin: false, verify: false, rotationDays: null, hardened: false },
    },
  ],
  [['policy', 'remove', 'Gold'], remove('/policies/Gold')],
  [['policy', 'compliance'], get('/compliance')],
  [['policy', 'compliance', '--vm', 'db1', '--policy', 'Gold'], get('/compliance?vm=db1&policy=Gold')],
  [['policy', 'apply', '--vm', 'db1', '--preview'], get('/compliance/plan?vm=db1')],
  [['policy', 'apply', '--policy', 'Gold', '--no-wait'], post('/compliance/apply', { policy: 'Gold' })],
  [['vm', 'policy', 'db1', '--policy', 'Gold'], post('/vms/db1/policy', { policy: 'Gold' })],
  [
    ['vm', 'policy', 'db1', '--policy', 'Gold', '--home', '--disk', '1'],
    post('/vms/db1/policy', { home: 'Gold', disks: [{ number: 1, policy: 'Gold' }] }),
  ],
  ...(['power-on', 'power-off', 'reset', 'pause', 'resume'] as const).map(
    (action) => [['vm', action, 'db1'], post('/vms/db1/power', { action })] as const,
  ),
  [['vm', 'shut-down', 'db1', '--no-wait'], post('/vms/db1/power', { action: 'shut-down' })],
  [['vm', 'shut-down', 'db1', '--timeout', '5'], post('/vms/db1/power', { action: 'shut-down' }), get('/vms/db1')],
  [['vm', 'list', '--power', 'on'], get('/vms')],
  [['vm', 'migrate', 'db1', '--host', 'host-b'], post('/vms/db1/migrate', { host: 'host-b' })],
  [['vm', 'declare-off', 'db1', '--confirm', 'db1'], post('/vms/db1/declare-off', { confirm: 'db1' })],
  [['host', 'stop-machine', 'host-a', 'db1'], { call: 'POST /api/v1/hosts/host-a/machines/db1/stop', body: null }],
  [['disk', 'list', '--detached'], get('/detached-disks')],
  [['disk', 'detach', 'db1', '1'], post('/vms/db1/disks/1/detach', {})],
  [['disk', 'remove', 'db1', '1', '--no-wait'], post('/vms/db1/disks/1/detach', { remove: true })],
  [['disk', 'remove', '--detached', 'layer-1'], remove('/detached-disks/layer-1')],
  [['disk', 'attach', 'db1', 'layer-1'], post('/vms/db1/disks/attach', { layer: 'layer-1' })],
  [
    ['disk', 'attach', 'db1', 'layer-1', '--policy', 'Gold'],
    post('/vms/db1/disks/attach', { layer: 'layer-1', policy: 'Gold' }),
  ],
  [['key-provider', 'list'], get('/key-providers')],
  [['key-provider', 'status', 'other'], get('/key-providers/other/status')],
  [['key-provider', 'status'], get('/key-providers'), get('/key-providers/kms/status')],
  [['key-provider', 'show', 'other'], get('/key-providers/other')],
  [['key-provider', 'default', 'other'], post('/key-providers/other/default', {})],
  [
    ['key-provider', 'default', 'set', 'other', '--cluster', 'main', '--force'],
    post('/key-providers/other/default', { entity: { kind: 'cluster', name: 'main' }, force: true }),
  ],
  [
    ['key-provider', 'default', 'clear', '--cluster', 'main'],
    post('/key-provider-defaults/clear', { entity: { kind: 'cluster', name: 'main' } }),
  ],
  [['key-provider', 'default', 'clear'], post('/key-provider-defaults/clear', {})],
  [['key-provider', 'default', 'show'], get('/key-provider-defaults')],
  [['key-provider', 'default', 'show', '--for', 'db1'], get('/vms/db1/key-provider')],
  [
    ['key-provider', 'update', 'kms', '--display-name', 'Vault in Zurich'],
    { call: 'PATCH /api/v1/key-providers/kms', body: { displayName: 'Vault in Zurich' } },
  ],
  [
    ['key-provider', 'server', 'add', 'kms', 'kms-3', '--by-ca', '--position', '1'],
    post('/key-providers/kms/servers', { host: 'kms-3', port: 5696, position: 0 }),
  ],
  [
    ['key-provider', 'server', 'update', 'kms', '[::1]:5697', '--address', 'kms-4:5698'],
    {
      call: 'PATCH /api/v1/key-providers/kms/servers/%5B%3A%3A1%5D%3A5697',
      body: { host: 'kms-4', port: 5698 },
    },
  ],
  [['key-provider', 'server', 'remove', 'kms', 'kms-3'], remove('/key-providers/kms/servers/kms-3%3A5696')],
  [
    ['key-provider', 'trust', 'root-ca', 'kms', '--common-name', 'our cloud'],
    post('/key-providers/kms/client-trust', { way: 'root-ca', commonName: 'our cloud' }),
  ],
  [
    ['key-provider', 'trust', 'self-signed', 'kms', '--force'],
    post('/key-providers/kms/client-trust', { way: 'self-signed', force: true }),
  ],
  [['key-provider', 'trust', 'csr', 'kms'], post('/key-providers/kms/client-trust', { way: 'csr' })],
  [['key-provider', 'trust', 'activate', 'kms'], post('/key-providers/kms/client-trust/activate', {})],
  [['key-provider', 'trust', 'show', 'kms', '--csr'], get('/key-providers/kms/client-trust')],
  [
    ['key-provider', 'trust', 'server', 'kms', '--accept-fingerprint', 'CD:'.repeat(31).concat('cd')],
    get('/key-providers/kms'),
    get('/key-server-certificate?host=kms-1&port=5696'),
    get('/key-server-certificate?host=%3A%3A1&port=5697'),
    post('/key-providers/kms/server-trust', {
      pins: [
        { host: 'kms-1', port: 5696, fingerprint256: 'cd'.repeat(32) },
        { host: '::1', port: 5697, fingerprint256: 'cd'.repeat(32) },
      ],
    }),
  ],
  [['key-provider', 'remove', 'other'], remove('/key-providers/other')],
  [['keys', 'list'], get('/keys')],
  [
    ['keys', 'list', '--provider', 'kms', '--limit', '5', '--offset', '10'],
    get('/keys?provider=kms&limit=5&offset=10'),
  ],
  [['keys', 'show', 'kms', 'kek-1'], get('/keys/kms/kek-1')],
  [['keys', 'show', 'kek-1'], get('/key-providers'), get('/keys/kms/kek-1'), get('/keys/other/kek-1')],
  [['user', 'list'], get('/users')],
  [['user', 'change', 'kim', '--role', 'Admin'], { call: 'PATCH /api/v1/users/kim', body: { role: 'Admin' } }],
  [['user', 'remove', 'kim'], remove('/users/kim')],
  [['role', 'list'], get('/roles')],
  [
    ['role', 'add', 'Ops', '--privilege', 'System.Read', '--privilege', 'Global.CancelTask'],
    post('/roles', { name: 'Ops', privileges: ['System.Read', 'Global.CancelTask'] }),
  ],
  [
    [
      'role',
      'change',
      'Ops',
      '--add',
      'System.Read',
      '--add',
      'Host.Inventory.AddHostToCluster',
      '--remove',
      'Global.CancelTask',
    ],
    {
      call: 'PATCH /api/v1/roles/Ops',
      body: { add: ['System.Read', 'Host.Inventory.AddHostToCluster'], remove: ['Global.CancelTask'] },
    },
  ],
  [
    ['role', 'change', 'Ops', '--privilege', 'System.Read'],
    { call: 'PATCH /api/v1/roles/Ops', body: { privileges: ['System.Read'] } },
  ],
  [['role', 'remove', 'Ops'], remove('/roles/Ops')],
  [['token', 'list'], get('/tokens')],
  [['token', 'add', 'ci'], post('/tokens', { name: 'ci' })],
  [['token', 'add', 'ci', '--valid-days', '30'], post('/tokens', { name: 'ci', validDays: 30 })],
  [['token', 'remove', 'backup'], get('/tokens'), remove('/tokens/token-1')],
  [['token', 'remove', 'token-3'], get('/tokens'), remove('/tokens/token-3')],
  [['vm', 'list'], get('/vms')],
  [['vm', 'show', 'db1'], get('/vms/db1')],
  [['vm', 'unlock', 'db1'], post('/vms/db1/unlock', null)],
  [['vm', 'delete', 'db1'], remove('/vms/db1')],
  [['vm', 'create', 'db1'], post('/vms', { name: 'db1' })],
  [
    [
      ...['vm', 'create', 'db1', '--disk', '1GiB', '--disk', '1GiB', '--format', 'qcow2', '--policy', encryptionPolicy],
      ...['--cluster', 'main', '--host', 'host-a', '--datastore', 'fast', '--memory', '512', '--cpus', '2'],
      ...['--firmware', 'uefi', '--notes=--json', '--key-provider', 'other', '--no-wait'],
    ],
    post('/vms', {
      name: 'db1',
      disks: [
        { sizeBytes: 1_073_741_824, format: 'qcow2' },
        { sizeBytes: 1_073_741_824, format: 'qcow2' },
      ],
      policy: encryptionPolicy,
      cluster: 'main',
      host: 'host-a',
      datastore: 'fast',
      memoryMib: 512,
      cpuCount: 2,
      firmware: 'uefi',
      notes: '--json',
      keyProvider: 'other',
    }),
  ],
  [['vm', 'encrypt', 'db1'], post('/vms/db1/policy', { policy: encryptionPolicy })],
  [
    ['vm', 'encrypt', 'db1', '--policy', encryptionPolicy, '--key-provider', 'other'],
    post('/vms/db1/policy', { policy: encryptionPolicy, keyProvider: 'other' }),
  ],
  [['vm', 'encrypt', 'db1', '--home'], post('/vms/db1/policy', { home: encryptionPolicy })],
  [
    ['vm', 'encrypt', 'db1', '--disk', '0', '--disk', '2'],
    get('/vms/db1'),
    post('/vms/db1/policy', {
      home: encryptionPolicy,
      disks: [
        { number: 0, policy: encryptionPolicy },
        { number: 2, policy: encryptionPolicy },
      ],
    }),
  ],
  [
    ['vm', 'encrypt', 'db1', '--thin', '--no-verify', '--limit', '200MiB/s'],
    post('/vms/db1/policy', { policy: encryptionPolicy, thin: true, verify: false, bytesPerSecondMax: 209_715_200 }),
  ],
  [['vm', 'decrypt', 'db1'], post('/vms/db1/policy', { policy: plainPolicy })],
  [
    ['vm', 'decrypt', 'db1', '--disk', '0', '--no-verify', '--limit', '1G'],
    post('/vms/db1/policy', {
      disks: [{ number: 0, policy: plainPolicy }],
      verify: false,
      bytesPerSecondMax: 1_073_741_824,
    }),
  ],
  [['vm', 'rekey', 'db1'], post('/vms/db1/rekey', { depth: 'shallow' })],
  [
    ['vm', 'rekey', 'db1', '--home', '--disk', '1', '--disk', '0', '--key-provider', 'other', '--no-wait'],
    post('/vms/db1/rekey', { depth: 'shallow', home: true, disks: [1, 0], keyProvider: 'other' }),
  ],
  [
    ['vm', 'rekey', 'db1', '--deep', '--no-verify', '--limit', '64KiB/s'],
    post('/vms/db1/rekey', { depth: 'deep', verify: false, bytesPerSecondMax: 65_536 }),
  ],
  [['vm', 'clone', 'db1', 'db2'], post('/vms/db1/clone', { name: 'db2' })],
  [
    [
      ...['vm', 'clone', 'db1', 'db2', '--host', 'host-b', '--datastore', 'slow', '--keys', 'same'],
      ...['--no-verify', '--limit', '1MiB', '--no-wait'],
    ],
    post('/vms/db1/clone', {
      name: 'db2',
      host: 'host-b',
      datastore: 'slow',
      keys: 'same',
      verify: false,
      bytesPerSecondMax: 1_048_576,
    }),
  ],
  [
    ['vm', 'clone', 'db1', 'db2', '--key-provider', 'other'],
    post('/vms/db1/clone', { name: 'db2', keyProvider: 'other' }),
  ],
  [['vm', 'decrypt', 'db1', '--disk', '0'], post('/vms/db1/policy', { disks: [{ number: 0, policy: plainPolicy }] })],
  [
    ['vm', 'decrypt', 'db1', '--disk', '1', '--home'],
    post('/vms/db1/policy', { home: plainPolicy, disks: [{ number: 1, policy: plainPolicy }] }),
  ],
  [['disk', 'list', 'db1'], get('/vms/db1/disks')],
  [['disk', 'add', 'db1', '--size', '512M'], post('/vms/db1/disks', { sizeBytes: 536_870_912 })],
  [
    ['disk', 'add', 'db1', '--size', '512M', '--format', 'raw', '--policy', plainPolicy],
    post('/vms/db1/disks', { sizeBytes: 536_870_912, format: 'raw', policy: plainPolicy }),
  ],
  [
    ['disk', 'add', 'db1', '--size', '512M', '--device', '/dev/vdb'],
    post('/vms/db1/disks', { sizeBytes: 536_870_912, device: '/dev/vdb' }),
  ],
  [['task', 'list'], get('/tasks')],
  [['task', 'list', '--vm', 'db1', '--state', 'running', '--limit', '3'], get('/tasks?vm=db1&state=running&limit=3')],
  [['event', 'list'], get('/events')],
  [
    ['event', 'list', '--type', 'kms.crypto.key-missing', '--vm', 'db1', '--host', 'host-a', '--limit', '7'],
    get('/events?type=kms.crypto.key-missing&vm=db1&host=host-a&limit=7'),
  ],
]

test('each command makes the calls that it should, and no others', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.events.push(cannedEvent(1, { type: 'kms.crypto.key-missing' }))
  for (const [args, ...calls] of commands) {
    await context.test(`cryptvisor ${args.join(' ')}`, async () => {
      fake.calls.length = 0
      const { exitCode, stderr, stdout } = await desk.run(args)
      assert.equal(exitCode, 0, stderr)
      assert.notEqual(stdout, '')
      const made = fake.calls.filter(({ call }) => !call.startsWith('GET /api/v1/tasks/'))
      assert.deepEqual(
        made.map(({ call, body }) => ({ call, body: body ?? null })),
        calls,
      )
    })
  }
})

test('a shallow rekey has no pace, and says so before anything is asked', async (context) => {
  const { desk, fake } = await openDesk(context)
  for (const options of [['--no-verify'], ['--limit', '1MiB/s']]) {
    const { exitCode, stderr } = await desk.run(['vm', 'rekey', 'db1', ...options])
    assert.equal(exitCode, 2)
    assert.match(stderr, new RegExp(`${options[0]}: a shallow rekey moves no data`))
  }
  assert.deepEqual(fake.calls, [])
})

test('a disk of an encrypted VM is encrypted without VM Home', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.encrypted = true
  assert.equal((await desk.run(['vm', 'encrypt', 'db1', '--disk', '1'])).exitCode, 0)
  assert.deepEqual(fake.changes, [post('/vms/db1/policy', { disks: [{ number: 1, policy: encryptionPolicy }] })])
})
