/** `./run demo`: everything at work on this machine, told step by step. `--keep` leaves the lab running. */
import { spawnSync } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { createReadStream, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import {
  environment,
  keyProviderOf,
  keyServerAdminOf,
  Lab,
  type LabDescription,
  providerName,
  recoveryScript,
  TemporaryLab,
} from '@cryptvisor/lab'
import { filesBelow, filesWithText, filesWithTrace } from '@cryptvisor/testkit'

const imageMib = 96
const vm = 'payroll'
const colour = process.stdout.isTTY && process.env['NO_COLOR'] === undefined
const paint = (code: number, text: string) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text)
const print = (text = '') => process.stdout.write(`${text}\n`)
let stepCount = 0

function step(title: string, explanation: string): void {
  stepCount++
  print(`\n${paint(1, `${stepCount}. ${title}`)}\n   ${explanation}\n`)
}

/** An argument as a shell would want it. */
const quoted = (text: string) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`)

const result = (text: string) => print(paint(32, `   => ${text}`))

/** Runs a command in view of the reader, shows what it says (or what `show` makes of it), and fails when it fails. */
function shown(
  command: string,
  args: readonly string[],
  show: (output: string) => string = (output) => output,
): string {
  print(paint(36, `   $ ${[command, ...args].map(quoted).join(' ')}`))
  return finished(command, args, show)
}

function finished(command: string, args: readonly string[], show: (output: string) => string): string {
  const { stdout, stderr, status, error } = spawnSync(command, args, {
    encoding: 'utf8',
    env: environment(),
    maxBuffer: 2 ** 26,
  })
  if (error !== undefined) throw error
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed: ${stderr.trim()}`)
  const text = show(stdout).trimEnd()
  if (text !== '') print(text.replaceAll(/^/gm, '     '))
  return stdout
}

/** Runs `cryptvisor` against the lab, as a user would. */
function cryptvisor(dir: string, args: readonly string[], show?: (output: string) => string): string {
  print(paint(36, `   $ cryptvisor ${args.map(quoted).join(' ')}`))
  const tool = fileURLToPath(new URL('./cryptvisor.ts', import.meta.url))
  return finished(process.execPath, [tool, '--dir', dir, ...args], show ?? ((output) => output))
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

/** How many files below `folder` hold `text`, and how many there are. */
async function filesWith(folder: string, text: string): Promise<{ holding: number; all: number }> {
  return { holding: (await filesWithText(folder, text)).length, all: (await filesBelow(folder)).length }
}

const lines = (wanted: RegExp) => (output: string) =>
  output
    .split('\n')
    .filter((line) => wanted.test(line))
    .join('\n')

interface VmView {
  readonly host: string
  readonly path: string
  readonly encryption: string
  readonly lock: { readonly state: string; readonly text: string | null }
  readonly disks: readonly {
    readonly path: string
    readonly key: { readonly provider: string; readonly keyId: string } | null
  }[]
}

/** The VM as the control plane shows it; the CLI prints the API's answer. */
function view(dir: string): VmView {
  const tool = fileURLToPath(new URL('./cryptvisor.ts', import.meta.url))
  return JSON.parse(finished(process.execPath, [tool, '--dir', dir, 'vm', 'show', vm, '--json'], () => '')) as VmView
}

function firstDisk(shownVm: VmView): VmView['disks'][number] {
  const [disk] = shownVm.disks
  if (disk === undefined) throw new Error('the VM has no disk')
  return disk
}

function makeImage(folder: string, secretText: string): string {
  const content = join(folder, 'content')
  mkdirSync(content)
  writeFileSync(join(content, 'salaries.txt'), `${secretText}\n`.repeat(1000))
  const image = join(folder, 'payroll.img')
  finished('truncate', ['-s', `${imageMib}M`, image], () => '')
  shown('/sbin/mkfs.ext4', ['-q', '-d', content, image])
  return image
}

async function encryptPart(dir: string, secretText: string): Promise<void> {
  const { datastore } = labOf(dir)
  step('Import a disk', 'A VM of its own, with a plain raw disk. Whoever reads the datastore reads the VM.')
  const image = makeImage(dir, secretText)
  cryptvisor(dir, ['vm', 'import', vm, '--disk', image, '--notes', secretText])
  const before = await filesWith(datastore, secretText)
  result(`${before.holding} of ${before.all} files in the datastore hold the text «${secretText}»`)

  step(
    'Encrypt it',
    'The control plane asks the key server for a new KEK, keeps its ID, hands it to both hosts; the host makes DEKs, wraps them, encrypts, reads back.',
  )
  cryptvisor(dir, ['vm', 'encrypt', vm])
  cryptvisor(dir, ['vm', 'show', vm])
  const after = await filesWith(datastore, secretText)
  if (after.holding !== 0) throw new Error('plaintext is left in the datastore')
  result(`${after.holding} of ${after.all} files in the datastore hold the text now`)
}

async function showPart(dir: string): Promise<void> {
  const { datastore } = labOf(dir)
  const disk = firstDisk(view(dir))
  step('What lies on the disk', 'An ordinary LUKS1 volume, say the tools that everybody has.')
  shown('/sbin/cryptsetup', ['luksDump', disk.path], lines(/Version|Cipher|Hash|Payload|UUID|Slot 0/))
  shown('qemu-img', ['info', disk.path], lines(/file format|virtual size|encrypted|cipher|uuid/))
  shown('find', [datastore, '-type', 'f'])

  step(
    'Each component’s part',
    'The key server makes and keeps the key; the control plane knows its name; the hosts hold it in memory.',
  )
  await showKeyServer(dir, disk.key?.keyId ?? '')
  cryptvisor(dir, ['keys', 'show', providerName, disk.key?.keyId ?? ''], lines(/^[a-z]|Usage|State|x-/))
  await showControlPlane(dir, disk.key?.keyId ?? '')
  cryptvisor(dir, ['keys', 'list'])
  cryptvisor(dir, ['host', 'list'])
  cryptvisor(dir, ['event', 'list', '--limit', '8'])
}

/** What the key server's audit log says of a key. */
async function showKeyServer(dir: string, objectId: string): Promise<void> {
  await using admin = keyServerAdminOf(labOf(dir))
  const { records } = await admin.client.audit({ objectId })
  print(paint(36, `   the key server’s audit log of key ${objectId}`))
  for (const { time, client, protocolVersion, operation, resultStatus } of records.toReversed()) {
    print(`     ${time}  ${client}  KMIP ${protocolVersion ?? '-'}  ${operation ?? '-'}  ${resultStatus}`)
  }
}

/** Looks for the KEK, and for its name, in everything that the control plane keeps. */
async function showControlPlane(dir: string, keyId: string): Promise<void> {
  await using provider = keyProviderOf(labOf(dir), 'control-plane')
  using kek = await provider.getKey(keyId)
  const folder = join(dir, 'control-plane')
  const traces = await kek.expose((bytes) => filesWithTrace(folder, bytes))
  const { holding } = await filesWith(folder, keyId)
  if (traces.length > 0) throw new Error(`the KEK lies in ${traces.join(', ')}`)
  result(
    `of the control plane’s files ${holding} hold the key’s ID, and ${traces.length} the key (raw, hexadecimal or base64)`,
  )
}

async function recoverPart(dir: string, imageSum: string, secretText: string): Promise<void> {
  const { keyServer } = labOf(dir)
  const disk = firstDisk(view(dir))
  step(
    'Recover it without us',
    'docs/recovery.md: the KEK by KMIP (PyKMIP), the DEK by jose, then cryptsetup and qemu-img. Keys go through pipes only.',
  )
  const script = join(dir, 'recover-disk.sh')
  writeFileSync(script, recoveryScript('recover-disk.sh'), { mode: 0o700 })
  const recovered = join(dir, 'recovered.img')
  const identity = [
    keyServer.host,
    String(keyServer.port),
    keyServer.ca,
    keyServer.controlPlaneCert,
    keyServer.controlPlaneKey,
  ]
  shown('sh', [script, disk.path, recovered, ...identity])
  if ((await sha256(recovered)) !== imageSum) throw new Error('the recovered disk differs from the imported one')
  const text = shown('/sbin/debugfs', ['-R', 'cat /salaries.txt', recovered], (output) => output.split('\n')[0] ?? '')
  if (!text.includes(secretText)) throw new Error('the recovered file system does not hold the text')
  result('the recovered disk is the imported one, bit for bit')
  rmSync(recovered)
}

async function restartPart(dir: string, lab: Lab): Promise<void> {
  const { host } = view(dir)
  if (host !== 'host-a' && host !== 'host-b') throw new Error(`the VM is on ${host}`)
  step(
    'Restart its host',
    'An agent keeps keys in memory only: after a restart it has none until the control plane hands them over again.',
  )
  print(paint(36, `   $ ./run lab stop ${host}`))
  await lab.stop(host)
  await until(dir, (shownVm) => shownVm.lock.state !== 'unlocked')
  cryptvisor(dir, ['vm', 'list'])
  print(paint(36, `   $ ./run lab start ${host}`))
  await lab.start(host)
  await until(dir, (shownVm) => shownVm.lock.state === 'unlocked')
  cryptvisor(dir, ['vm', 'list'])
  cryptvisor(dir, ['event', 'list', '--limit', '4'])
  result('unlocked again, by itself')
}

async function until(dir: string, holds: (shownVm: VmView) => boolean): Promise<void> {
  const deadline = Date.now() + 30_000
  while (!holds(view(dir))) {
    if (Date.now() > deadline) throw new Error('the VM did not reach the expected state in 30 seconds')
    await sleep(200)
  }
}

async function decryptPart(dir: string, imageSum: string): Promise<void> {
  step('Decrypt it', 'By changing its storage policy: the disk first, VM Home last.')
  cryptvisor(dir, ['vm', 'decrypt', vm, '--disk', '0'])
  cryptvisor(dir, ['vm', 'decrypt', vm])
  const disk = firstDisk(view(dir))
  print(`     imported   ${imageSum}\n     decrypted  ${await sha256(disk.path)}`)
  if ((await sha256(disk.path)) !== imageSum) throw new Error('the decrypted disk differs from the imported one')
  result('the same, bit for bit')
}

function labOf(dir: string): LabDescription {
  const description = new Lab(dir).describe()
  if (description === null) throw new Error(`there is no lab in ${dir}`)
  return description
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { keep: { type: 'boolean', default: false } } })
  await using lab = new TemporaryLab('demo', (text) => print(`     ${text}`))
  const dir = lab.places.folder
  if (values.keep) {
    lab.keep()
    process.once('exit', () => print(`the lab is left running; stop it with: ./run lab down --dir ${dir}`))
  }
  step('Start everything', `A key server, a control plane and two hosts, on this machine, with their data in ${dir}.`)
  await lab.up()
  const secretText = `salary of the chief executive: ${randomUUID()}`
  await encryptPart(dir, secretText)
  const imageSum = await sha256(join(dir, 'payroll.img'))
  await showPart(dir)
  await recoverPart(dir, imageSum, secretText)
  await restartPart(dir, lab)
  await decryptPart(dir, imageSum)
  print(`\n${paint(1, 'Done.')} To go on by hand: ./run lab up --dir DIR, then ./run cryptvisor --dir DIR help`)
}

try {
  await main()
} catch (error) {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
