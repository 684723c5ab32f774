/**
 * Writes docs/openapi.json, the OpenAPI 3.1 document that the server for users serves, from that server’s own routes;
 * `--check` fails when the file is not what it would write. Nothing listens for it, and its database is in memory.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Barrier, MemoryPhysical } from '@cryptvisor/key-store'
import { Secret } from '@cryptvisor/secret'
import { LogRing } from '@cryptvisor/support-bundle'
import { AuditSigner } from './app/audit/audit-signer.ts'
import { Certificates } from './app/certificates.ts'
import { Platform } from './app/platform.ts'
import { defaultSessionLimits } from './app/session-limits.ts'
import type { Settings } from './app/settings.ts'
import { defaultKmip, kmipOf } from './config.ts'
import { createWork } from './create-work.ts'
import { openControlPlaneDatabase } from './database/open.ts'
import { buildUsersServer } from './http/users-server.ts'
import { createLog } from './log.ts'
import { ownVersion } from './version.ts'

const path = fileURLToPath(new URL('../../../docs/openapi.json', import.meta.url))

const text = `${JSON.stringify(await openApiDocument(), null, 2)}\n`
if (process.argv.includes('--check')) {
  if (currentText() !== text) {
    process.stderr.write('docs/openapi.json is not what the routes say; run: node apps/control-plane/src/openapi.ts\n')
    process.exitCode = 1
  }
} else {
  writeFileSync(path, text)
}

/** A file that is not there is not up to date either. */
function currentText(): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}

/** Builds the real server in a world of its own, in which nothing is started, and asks it. */
async function openApiDocument(): Promise<object> {
  const clock = Date.now
  const log = createLog('error')
  const version = ownVersion()
  const settings: Settings = {
    labels: { vendor: '', product: '', productVersion: version },
    kmip: kmipOf({ kmip: defaultKmip }),
    keyDestroyAfterMs: 0,
    sessions: defaultSessionLimits,
  }
  await using opened = new AsyncDisposableStack()
  const database = opened.adopt(await openControlPlaneDatabase(':memory:'), (open) => open.destroy())
  const rootKey = opened.use(Secret.random(32))
  const barrier = opened.use(await Barrier.initialize(new MemoryPhysical(), rootKey))
  const certificates = await Certificates.create(database, barrier, clock)
  const agentIdentity = await certificates.issueClient()
  const hostsUrl = 'https://127.0.0.1'
  const auditSigner = await AuditSigner.open(database, barrier)
  const parts = {
    database,
    barrier,
    auditSigner,
    certificates,
    agentIdentity,
    hostsUrl,
    folder: '/',
    version,
    settings,
    clock,
    log,
    logRing: new LogRing(),
  }
  const platform = opened.use(new Platform(parts))
  const { work, routes } = createWork({ database, platform, settings, clock, log })
  platform.observe(work)
  const shown = opened.use(await certificates.issueServer(['127.0.0.1']))
  const privateKey = shown.privateKey.expose((bytes) => Uint8Array.from(bytes))
  const server = await buildUsersServer(platform, routes, { certificate: shown.certificate, privateKey }, version)
  opened.defer(() => server.close())
  const answer = await server.inject('/openapi.json')
  if (answer.statusCode !== 200) throw new Error(`/openapi.json answered with status ${answer.statusCode}`)
  return answer.json<object>()
}
