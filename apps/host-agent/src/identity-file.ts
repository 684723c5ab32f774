import type { Identity } from '@cryptvisor/pki'
import { Secret } from '@cryptvisor/secret'
import { AgentError } from './agent-error.ts'
import { agentFiles, readAgentFile } from './config.ts'
import { writeAgentFile } from './write-agent-file.ts'

const keyBegin = '-----BEGIN PRIVATE KEY-----'

/**
 * Puts certificate and private key into place together, in one file that is renamed: whatever moment the power goes, they fit each
 * other, and it is the old pair or the new one.
 */
export async function writeIdentity(folder: string, { certificate, privateKey }: Identity): Promise<void> {
  const head = Buffer.from(certificate.endsWith('\n') ? certificate : `${certificate}\n`)
  await privateKey.expose(async (bytes) => {
    const whole = Buffer.concat([head, bytes])
    try {
      await writeAgentFile(agentFiles.identity(folder), whole)
    } finally {
      whole.fill(0)
    }
  })
}

/**
 * The identity that this host has now: what was renewed last, else what enrolment of an older version left in two files. `null`: there
 * is none, or half of one. The caller disposes of it. Throws AgentError `bad-config`.
 */
export async function readIdentity(folder: string): Promise<Identity | null> {
  const whole = await readAgentFile(agentFiles.identity(folder))
  if (whole !== null) return splitIdentity(folder, whole)
  const certificate = await readAgentFile(agentFiles.certificate(folder))
  const key = await readAgentFile(agentFiles.privateKey(folder))
  if (certificate === null || key === null) {
    key?.fill(0)
    return null
  }
  return identityOf(certificate.toString('utf8'), Secret.from(key))
}

function splitIdentity(folder: string, whole: Buffer): Identity {
  using wipe = new DisposableStack()
  wipe.defer(() => whole.fill(0))
  const at = whole.indexOf(keyBegin)
  if (at < 1) {
    throw new AgentError(
      'bad-config',
      `${agentFiles.identity(folder)}: expected a certificate and a private key, in PEM`,
    )
  }
  return identityOf(whole.toString('utf8', 0, at), Secret.from(Buffer.from(whole.subarray(at))))
}

function identityOf(certificate: string, privateKey: Secret): Identity {
  return { certificate, privateKey, [Symbol.dispose]: () => privateKey[Symbol.dispose]() }
}
