import assert from 'node:assert/strict'
import { test } from 'node:test'
import { unsafeStart } from './unsafe-start.ts'

const safe = { execArgv: [], environment: {}, debuggerUrl: undefined }

test('a start that gives keys away is refused, and says by what', () => {
  assert.equal(unsafeStart(safe), null)
  assert.equal(unsafeStart({ ...safe, execArgv: ['--max-semi-space-size=1'], environment: { NODE_DEBUG: '' } }), null)
  for (const option of [
    '--inspect',
    '--inspect-brk=0',
    '--heapsnapshot-signal=SIGUSR2',
    '--heap-prof',
    '--tls-keylog=f',
    '--tls_keylog=f',
    '--heapsnapshot_signal=SIGUSR2',
  ]) {
    const shown = new RegExp(`^${option.slice(0, 9).replace('_', '-')}`)
    assert.match(unsafeStart({ ...safe, execArgv: [option] }) ?? '', shown)
    assert.match(unsafeStart({ ...safe, environment: { NODE_OPTIONS: `--no-warnings ${option}` } }) ?? '', shown)
  }
  for (const quoted of ['"--tls-keylog=f"', '--no-warnings "--tls-keylog=a b"', '"--tls\\-keylog=f"']) {
    assert.match(unsafeStart({ ...safe, environment: { NODE_OPTIONS: quoted } }) ?? '', /^--tls-keylog/)
  }
  assert.match(unsafeStart({ ...safe, debuggerUrl: 'ws://127.0.0.1:9229/x' }) ?? '', /debugger/)
  assert.match(unsafeStart({ ...safe, environment: { NODE_DEBUG: 'tls' } }) ?? '', /NODE_DEBUG/)
  assert.match(
    unsafeStart({ ...safe, environment: { NODE_TLS_REJECT_UNAUTHORIZED: '0' } }) ?? '',
    /NODE_TLS_REJECT_UNAUTHORIZED/,
  )
})
