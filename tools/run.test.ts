import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'

function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync('sh', ['run', ...args], { encoding: 'utf8' })
  return { status, stdout, stderr }
}

test('./run says what there is, however it is asked', () => {
  const asked = [run(), run('help'), run('--help'), run('-h')]
  for (const { status, stdout } of asked) {
    assert.equal(status, 0)
    for (const verb of ['demo', 'test', 'check', 'lab up', 'cryptvisor', 'bench'])
      assert.ok(stdout.includes(`  ${verb}`))
  }
})

test('./run VERB --help explains that verb, and does nothing', () => {
  for (const verb of ['demo', 'test', 'check', 'lab', 'bench']) {
    const { status, stdout } = run(verb, '--help')
    assert.equal(status, 0)
    assert.ok(stdout.includes(`  ${verb}`), stdout)
    assert.ok(verb === 'demo' || !stdout.includes('  demo'))
  }
  assert.equal(run('lab', 'up', '--help').status, 0)
  assert.match(run('cryptvisor', '--help').stdout, /key-provider/)
})

test('a verb that there is not is named, with those that there are', () => {
  const { status, stdout, stderr } = run('labs', '--help')
  assert.equal(status, 2)
  assert.match(stderr, /labs: there is no such verb/)
  assert.match(stdout, /lab up/)
})
