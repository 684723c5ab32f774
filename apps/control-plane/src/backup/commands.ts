import { readFile } from 'node:fs/promises'
import { SetUpError } from '../set-up-error.ts'
import { ownVersion } from '../version.ts'
import type { BackupManifest } from './manifest.ts'
import { backUpFolder } from './offline.ts'
import { type RestoreOptions, restoreControlPlane } from './restore.ts'
import { verifyBackup } from './verify-backup.ts'

/** `control-plane backup`: into the new file `out`. */
export async function backUp(folder: string, out: string | undefined): Promise<string> {
  const path = required('--out', out, 'name the file to write')
  const { manifest, sizeBytes } = await backUpFolder(folder, path, ownVersion(), Date.now)
  return `${path} (${sizeBytes} bytes): ${describe(manifest)}\nThe root key is not in it: keep a copy of that elsewhere\n`
}

/** `control-plane verify-backup`: against the authority's certificate in the file `ca`, where that is given. */
export async function checkBackup(from: string | undefined, ca: string | undefined): Promise<string> {
  const path = required('--from', from, 'name the backup')
  const trusted = ca === undefined ? null : await readFile(ca, 'utf8')
  const { manifest } = await verifyBackup(path, trusted)
  const trust =
    trusted === null
      ? `Compare the fingerprint of its certificate authority with yours, or give yours with --ca: ${manifest.caFingerprint256}`
      : `It was signed by the certificate authority in ${ca}`
  return `${path} is whole: ${describe(manifest)}\n${trust}\n`
}

/** `control-plane restore`: into a folder without a control plane. */
export async function restore(
  options: Omit<RestoreOptions, 'backup' | 'rootKeyFile'> & {
    readonly backup: string | undefined
    readonly rootKeyFile: string | undefined
  },
): Promise<string> {
  const backup = required('--from', options.backup, 'name the backup')
  const rootKeyFile = required('--root-key-file', options.rootKeyFile, 'name the root key that the backup is under')
  const { manifest, config } = await restoreControlPlane({ ...options, backup, rootKeyFile }, Date.now)
  return `restored in ${options.folder}: ${describe(manifest)}
Users reach it at ${config.host}:${config.port}, hosts at ${config.host}:${config.hostsPort}. Now:
  1. make sure that the old control plane does not run any more; hosts that met this one refuse it from then on
  2. control-plane serve --dir ${options.folder}
  3. where the hosts' address of it is another one than before, on each host:
     host-agent set-control-plane --dir DIR --url https://${config.host}:${config.hostsPort}
  4. cryptvisor login, vm reconcile, datastore browse; at the end cryptvisor system settle
`
}

function describe({ createdAt, installationId, productVersion, schema, counts }: BackupManifest): string {
  return `backup of ${createdAt}, installation ${installationId}, version ${productVersion}, schema ${schema}: ${counts.hosts} hosts, ${counts.vms} VMs, ${counts.keys} keys, ${counts.openTasks} open tasks`
}

function required(option: string, value: string | undefined, what: string): string {
  if (value !== undefined) return value
  throw new SetUpError('usage', `${option}: is missing; ${what}`)
}
