import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Alarm, Host } from '@cryptvisor/control-plane-api'
import { knownText, makeRawImage } from './image.ts'
import { eventually, LabUnderTest } from './lab-under-test.ts'

const alarmsOf = async (lab: LabUnderTest) =>
  (await lab.json<Alarm[]>('alarm', 'list')).map(({ definition, object }) => `${definition} ${object}`)

test('hosts restart while the key server is away: what is wrong is said everywhere, and all of it ends by itself', async (context) => {
  const lab = await LabUnderTest.start(context)
  makeRawImage(lab.path('web.img'), 1_048_576, knownText())
  await lab.json(
    'vm',
    'import',
    'web',
    '--disk',
    lab.path('web.img'),
    '--host',
    'host-a',
    '--policy',
    'VM Encryption Policy',
  )
  assert.equal((await lab.cryptvisor('host', 'check-reboot')).exitCode, 0)
  await lab.lab.stop('key-server')
  const check = await lab.cryptvisor('host', 'check-reboot')
  assert.equal(check.exitCode, 1)
  assert.match(check.stdout, /2 hosts: 2 unsafe/)
  await lab.lab.stop('host-a')
  await lab.lab.start('host-a')
  const host = await eventually('a host that says what it lacks', async () => {
    const shown = await lab.json<Host>('host', 'show', 'host-a')
    const reason = shown.cryptoReason ?? ''
    return /host key among them.*cannot be reached \(ECONNREFUSED\)/.test(reason) ? shown : null
  })
  assert.equal(host.cryptoState, 'prepared')
  const refused = await lab.cryptvisor('vm', 'unlock', 'web')
  assert.equal(refused.exitCode, 1)
  assert.match(refused.stderr, /VM web stays locked: .*«key-provider status lab-kms»/)
  // Nobody probed it by hand, and the next probe by itself would come in minutes.
  await eventually('the alarms', async () => {
    const alarms = await alarmsOf(lab)
    const awaited = ['host.keys-missing host-a', 'vm.locked web', 'key-provider.red lab-kms']
    return awaited.every((each) => alarms.includes(each)) ? alarms : null
  })
  await lab.lab.start('key-server')
  await eventually('a host that is safe', async () =>
    (await lab.json<Host>('host', 'show', 'host-a')).cryptoState === 'safe' ? true : null,
  )
  await eventually('an unlocked VM', async () => ((await lab.vm('web')).lock.state === 'unlocked' ? true : null))
  assert.equal((await lab.json<Host>('host', 'show', 'host-a')).cryptoReason, null)
  assert.ok(!(await alarmsOf(lab)).some((alarm) => /keys-missing|vm\.locked/.test(alarm)))
})
