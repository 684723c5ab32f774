import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KmipClientError } from '@cryptvisor/kmip-client'
import { ServerFailure } from './failover.ts'
import { translate } from './translation.ts'

test('what a server’s failure says to do names the provider, so that it can be pasted', () => {
  const cause = new KmipClientError('tls-failed', 'kms-1:5696 shows another one: «key-provider trust server»')
  const error = translate(new ServerFailure('kms-1:5696', cause), { providerId: 'vault' }, 'make a key', 'denied')
  assert.equal(
    error.message,
    'key provider vault could not make a key; kms-1:5696 shows another one: «key-provider trust server vault»',
  )
  assert.equal(error.code, 'not-trusted')
})
