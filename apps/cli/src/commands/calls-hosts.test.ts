import { test } from 'node:test'
import { type CommandCalls, checkCalls } from '../testing/check-calls.ts'

/** Each command line about hosts, their keys and certificates, and the calls that it makes besides asking how its task is. */
const commands: readonly CommandCalls[] = [
  ['host crypto enable host-b', ['POST /hosts/host-b/crypto/enable', {}]],
  [
    'host crypto enable host-b --key-id k-1 --key-provider kms --no-wait',
    ['POST /hosts/host-b/crypto/enable', { keyProvider: 'kms', keyId: 'k-1' }],
  ],
  ['host crypto disable host-b', ['POST /hosts/host-b/crypto/disable']],
  ['host rekey host-b --key-provider kms', ['POST /hosts/host-b/rekey', { keyProvider: 'kms' }]],
  ['host rekey --cluster main', ['POST /clusters/main/rekey-hosts', {}]],
  ['host move host-b --cluster test', ['POST /hosts/host-b/move', { cluster: 'test' }]],
  ['host decommission host-b --accept-exposure', ['POST /hosts/host-b/decommission', { acceptExposure: true }]],
  ['host dumps host-b', ['GET /hosts/host-b/dumps']],
  ['host key-persistence show host-b', ['GET /hosts/host-b/key-persistence']],
  ['host key-persistence enable host-b', ['PUT /hosts/host-b/key-persistence', { keepDays: 30 }]],
  ['host key-persistence enable host-b --keep-days 7', ['PUT /hosts/host-b/key-persistence', { keepDays: 7 }]],
  ['host key-persistence disable host-b', ['DELETE /hosts/host-b/key-persistence']],
  ['host support-bundle host-b --out never --dry-run', ['GET /hosts/host-b/support-bundle']],
  ['system support-bundle --out never --dry-run', ['GET /system/support-bundle']],
  ['host exposed-keys', ['GET /exposed-keys']],
  ['host exposed-keys host-b', ['GET /exposed-keys?host=host-b']],
  ['cluster crypto-mode main force-enable', ['PUT /clusters/main/crypto-mode', { mode: 'force-enable' }]],
  ['vm list --locked --host host-a', ['GET /vms']],
  ['vm unlock --host host-none', ['POST /vms-unlock', { host: 'host-none' }], ['GET /vms']],
  ['host check-reboot host-a', ['GET /hosts/host-a/check-reboot']],
  ['host check-reboot --cluster main', ['GET /clusters/main/check-reboot']],
  ['host check-reboot', ['GET /clusters'], ['GET /clusters/main/check-reboot']],
  ['certificate list', ['GET /certificates']],
  ['host renew-certificate host-a', ['POST /hosts/host-a/renew-certificate']],
  ['keys health', ['GET /key-health']],
  ['keys health --provider kms --bad', ['GET /key-health?provider=kms&bad=true']],
  ['keys verify kms kek-1', ['POST /keys/kms/kek-1/verify']],
  ['keys verify --all', ['POST /key-health/verify', {}], ['GET /key-health']],
  [
    'keys verify --all --provider kms',
    ['POST /key-health/verify', { provider: 'kms' }],
    ['GET /key-health?provider=kms'],
  ],
]

test('each command about hosts makes the calls that it should, and no others', (context) =>
  checkCalls(context, commands))
