import { Readable } from 'node:stream'
import { ReadableStream } from 'node:stream/web'
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
    encrypter.setPassphrase(sealing.password.expose((bytes) => Buffer.from(bytes).toString('utf8')))
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

/** Passes an error on as it is; ending early ends the source. */
function toWeb(content: Readable): globalThis.ReadableStream<Uint8Array> {
  const chunks = content[Symbol.asyncIterator]()
  const stream = new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const { done, value } = await chunks.next()
      // A stream of bytes.
      if (done === true) controller.close()
      else controller.enqueue(Uint8Array.from(value as Uint8Array))
    },
    cancel: () => void content.destroy(),
  })
  return stream as unknown as globalThis.ReadableStream<Uint8Array>
}
