import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import type { Barrier } from '@cryptvisor/key-store'
import { Secret } from '@cryptvisor/secret'
import type { Kysely } from 'kysely'
import type { Schema } from '../../database/schema.ts'

/** Of the signing key, in the table `sealed`. */
const sealedName = 'audit/signing-key'
const context = { type: 'signing key of the audit' }

/**
 * Signs heads and checkpoints of the audit (Ed25519, RFC 8032). Its key lies sealed under the root key, so whoever has
 * only the database cannot sign; whoever has only an export can check.
 */
export class AuditSigner {
  readonly #privateKey: KeyObject
  /** PEM. */
  readonly publicKey: string

  private constructor(privateKey: KeyObject) {
    this.#privateKey = privateKey
    // A PEM export is a string.
    this.publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }) as string
  }

  /** Takes the key up, or makes it where there is none yet. Throws `KeyStoreError` when it was changed. */
  static async open(database: Kysely<Schema>, barrier: Barrier): Promise<AuditSigner> {
    const made = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'der' })
    using fresh = Secret.from(made)
    const value = await database.transaction().execute(async (transaction) => {
      const row = await transaction
        .selectFrom('sealed')
        .select('value')
        .where('name', '=', sealedName)
        .executeTakeFirst()
      if (row !== undefined) return row.value
      const sealed = barrier.seal(context, fresh)
      await transaction.insertInto('sealed').values({ name: sealedName, value: sealed }).execute()
      return sealed
    })
    using key = barrier.unseal(context, value)
    return new AuditSigner(
      key.expose((bytes) => createPrivateKey({ key: Buffer.from(bytes), format: 'der', type: 'pkcs8' })),
    )
  }

  /** Base64. */
  sign(statement: Uint8Array): string {
    return sign(null, statement, this.#privateKey).toString('base64')
  }
}
