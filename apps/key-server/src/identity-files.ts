import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import type { Barrier } from '@cryptvisor/key-store'
import { CertificateAuthority, type Identity, readCertificate } from '@cryptvisor/pki'
import type { Secret } from '@cryptvisor/secret'
import type { DataFolder } from './data-folder.ts'
import { KeyServerError } from './key-server-error.ts'
import { replaceFile, writeNewFile } from './write-file.ts'

/** How long certificates live, in days; ours renews itself at two thirds of that. */
const caValidDays = 3650
const serverValidDays = 397

/** Our CA and our own identity, their keys sealed in files of the data folder. */
export class IdentityFiles {
  readonly #folder: DataFolder
  readonly #barrier: Barrier
  readonly #now: () => Date

  constructor(folder: DataFolder, barrier: Barrier, now: () => Date) {
    this.#folder = folder
    this.#barrier = barrier
    this.#now = now
  }

  /** Makes the CA. */
  async createAuthority(): Promise<CertificateAuthority> {
    const { authority, privateKey } = await CertificateAuthority.create(
      'Cryptvisor key server CA',
      caValidDays,
      this.#now,
    )
    using key = privateKey
    await writeNewFile(this.#folder.caKey, this.#barrier.seal({ file: 'ca.key' }, key))
    await writeNewFile(this.#folder.ca, authority.certificate)
    return authority
  }

  /** Takes up the CA again. */
  async authority(): Promise<CertificateAuthority> {
    using key = await this.#unseal(this.#folder.caKey, 'ca.key')
    return await CertificateAuthority.load(await readFile(this.#folder.ca, 'utf8'), key, this.#now)
  }

  /** The CA's certificate, PEM, without its key. */
  caCertificate(): Promise<string> {
    return readFile(this.#folder.ca, 'utf8')
  }

  /** Makes our own identity anew, in place of the one that is there. */
  async issueServer(authority: CertificateAuthority, hostNames: readonly string[]): Promise<void> {
    using identity = await authority.issue({
      commonName: 'Cryptvisor key server',
      usages: ['server'],
      hosts: hostNames,
      validDays: serverValidDays,
    })
    const sealed = this.#barrier.seal({ file: 'server.key' }, identity.privateKey)
    await replaceFile(this.#folder.serverKey, sealed)
    await replaceFile(this.#folder.server, identity.certificate)
  }

  /**
   * Our own identity. It is made anew when two thirds of its life are over, when it does not show all of `hostNames`,
   * and when certificate and key are not a pair, because renewing was cut short.
   */
  async server(hostNames: readonly string[]): Promise<{ identity: Identity; isRenewed: boolean }> {
    const current = await this.#readServer(hostNames)
    if (current !== null) return { identity: current, isRenewed: false }
    await this.issueServer(await this.authority(), hostNames)
    const renewed = await this.#readServer(hostNames)
    if (renewed !== null) return { identity: renewed, isRenewed: true }
    throw new KeyServerError('bad-config', `${this.#folder.server} was made anew and is not good: is the clock right?`)
  }

  /** `null` when it is to be made anew. */
  async #readServer(hostNames: readonly string[]): Promise<Identity | null> {
    const certificate = await readFile(this.#folder.server, 'utf8')
    const parsed = new X509Certificate(certificate)
    if (!hostNames.every((name) => (isIP(name) === 0 ? parsed.checkHost(name) : parsed.checkIP(name)) !== undefined)) {
      return null
    }
    const { notBefore, notAfter } = readCertificate(certificate)
    const lifeMs = notAfter.getTime() - notBefore.getTime()
    if (this.#now().getTime() > notBefore.getTime() + (lifeMs * 2) / 3) return null
    const privateKey = await this.#unseal(this.#folder.serverKey, 'server.key')
    const isPair = privateKey.expose((pem) =>
      parsed.checkPrivateKey(createPrivateKey(Buffer.from(pem.buffer, pem.byteOffset, pem.length))),
    )
    if (isPair) return { certificate, privateKey, [Symbol.dispose]: () => privateKey[Symbol.dispose]() }
    privateKey[Symbol.dispose]()
    return null
  }

  async #unseal(path: string, name: string): Promise<Secret> {
    return this.#barrier.unseal({ file: name }, await readFile(path))
  }
}
