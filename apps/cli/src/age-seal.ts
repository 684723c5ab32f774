import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import type { Secret } from '@cryptvisor/secret'
import { CliError } from './cli-error.ts'

/** What a file is sealed to in the format of age (age-encryption.org/v1), so that it opens without us. */
export type AgeSealing = { readonly password: Secret } | { readonly recipients: readonly string[] }

/** More recipients than anybody has. */
const recipientsMax = 16

/** Says how bytes are sealed, as they come. Throws `CliError` for what is no recipient of age. */
export async function ageSealer(sealing: AgeSealing): Promise<(content: Readable) => Promise<Readable>> {
  // Loaded where it is needed: it brings curves and a lattice.
  const { Encrypter } = await import('age-encryption')
  const encrypter = new Encrypter()
  if ('password' in sealing) {
    // The library takes a string; it lives as long as this command.
    encrypter.setPassphrase(
      sealing.password.expose((bytes) => new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)),
    )
  } else {
    if (sealing.recipients.length > recipientsMax) throw badRecipient(`expected at most ${recipientsMax}`)
    for (const recipient of sealing.recipients) {
      try {
        encrypter.addRecipient(recipient)
      } catch (cause) {
        throw badRecipient(`${recipient} is no public key of age: expected age1…`, cause)
      }
    }
  }
  return async (content) => Readable.fromWeb(toNode(await encrypter.encrypt(toWeb(content))))
}

function badRecipient(text: string, cause?: unknown): CliError {
  return new CliError('usage', `--recipient: ${text}`, { field: '--recipient', cause })
}

/** Node's own streams of the web are those of the web, which its types keep apart. */
const toNode = (stream: globalThis.ReadableStream<Uint8Array>) => stream as unknown as ReadableStream<Uint8Array>
const toWeb = (content: Readable) => Readable.toWeb(content) as unknown as globalThis.ReadableStream<Uint8Array>
