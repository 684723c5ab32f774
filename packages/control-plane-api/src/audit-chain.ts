import { createHash, createPublicKey, verify } from 'node:crypto'
import type { AuditCheckpoint, AuditHead, AuditRecord } from './audit.ts'

/** What the first record of all is chained to. */
export const auditStartHash = '0'.repeat(64)

/** Canonical JSON (RFC 8785) of a flat object of texts, whole numbers and `null`: names in order, nothing between. */
export function canonicalJson(fields: Readonly<Record<string, string | number | null>>): string {
  return JSON.stringify(Object.fromEntries(Object.entries(fields).toSorted(([one], [other]) => (one < other ? -1 : 1))))
}

/** SHA-256 over the hash before, a line feed, and the record without its own hash as canonical JSON; hex. */
export function auditHash(before: string, record: Omit<AuditRecord, 'hash'>): string {
  return createHash('sha256')
    .update(`${before}\n${canonicalJson(record)}`)
    .digest('hex')
}

/** What is signed of a head. */
export const headStatement = (head: Omit<AuditHead, 'signature'>): Buffer =>
  Buffer.from(`cryptvisor audit head\n${canonicalJson(head)}`)

/** What is signed of a checkpoint. */
export const checkpointStatement = (checkpoint: Omit<AuditCheckpoint, 'signature'>): Buffer =>
  Buffer.from(`cryptvisor audit checkpoint\n${canonicalJson(checkpoint)}`)

/** Whether the head is by the owner of `publicKey` (PEM). */
export function isSignedHead({ signature, ...head }: AuditHead, publicKey: string): boolean {
  return verify(null, headStatement(head), createPublicKey(publicKey), Buffer.from(signature, 'base64'))
}

/** As `isSignedHead`, of a checkpoint. */
export function isSignedCheckpoint({ signature, ...checkpoint }: AuditCheckpoint, publicKey: string): boolean {
  return verify(null, checkpointStatement(checkpoint), createPublicKey(publicKey), Buffer.from(signature, 'base64'))
}

/** SHA-256 of a public key (PEM), hex: short enough to be written down. */
export function auditKeyFingerprint(publicKey: string): string {
  const der = createPublicKey(publicKey).export({ type: 'spki', format: 'der' })
  return createHash('sha256').update(der).digest('hex')
}

/** What a walk found: where the chain breaks first, and in which way. */
export interface ChainBreak {
  readonly position: number
  readonly problem: string
}

/** Walks along records as they come, from `start` on, and remembers the first one that is not as it was written. */
export class ChainWalk {
  #position: number
  #hash: string
  #first: number | null = null
  #broken: ChainBreak | null = null
  #count = 0

  constructor(start: { readonly position: number; readonly hash: string }) {
    this.#position = start.position
    this.#hash = start.hash
  }

  get count(): number {
    return this.#count
  }

  get firstPosition(): number | null {
    return this.#first
  }

  /** Takes the next record; whether the chain is whole so far. */
  take({ hash, ...record }: AuditRecord): boolean {
    if (this.#broken !== null) return false
    const expected = this.#position + 1
    if (record.position !== expected) {
      return this.#break(expected, `record ${expected} is missing: record ${record.position} comes in its place`)
    }
    if (auditHash(this.#hash, record) !== hash) {
      return this.#break(expected, `record ${expected} is not as it was written, or the one before it is another`)
    }
    this.#first ??= expected
    this.#position = expected
    this.#hash = hash
    this.#count++
    return true
  }

  /** Ends the walk at the signed head; `null`: the chain is whole. */
  end(head: AuditHead | null, publicKey: string): ChainBreak | null {
    if (this.#broken !== null) return this.#broken
    const next = this.#position + 1
    if (head === null) return { position: next, problem: 'the signed head of the chain is missing' }
    if (!isSignedHead(head, publicKey)) {
      return { position: next, problem: 'the head of the chain is not signed by this control plane' }
    }
    if (head.position > this.#position) {
      return { position: next, problem: `record ${next} is missing: the signed head is at record ${head.position}` }
    }
    if (head.position !== this.#position || head.hash !== this.#hash) {
      const at = Math.min(head.position + 1, this.#position)
      return { position: at, problem: `the signed head is at record ${head.position} and does not know what follows` }
    }
    if (head.brokenAt !== null) {
      return {
        position: head.brokenAt,
        problem: `before record ${head.brokenAt} somebody else wrote the head: nothing before it is proven`,
      }
    }
    return null
  }

  #break(position: number, problem: string): false {
    this.#broken = { position, problem }
    return false
  }
}
