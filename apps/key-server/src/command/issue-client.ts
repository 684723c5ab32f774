import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Profile, readCertificate } from '@cryptvisor/pki'
import { readConfig } from '../config.ts'
import { dataFolder } from '../data-folder.ts'
import { KeyServerError } from '../key-server-error.ts'
import { makeFolder } from '../new-folder.ts'
import { openData } from '../opened.ts'
import { writeNewFile } from '../write-file.ts'

const clientValidDays = 397

/** A certificate request is some hundred bytes. */
const csrSizeMax = 65_536

export interface IssueClientOptions {
  readonly folder: string
  readonly name: string
  /** The folder for `client.pem`, `ca.pem` and, without `csr`, `client.key`. */
  readonly out: string
  /** A file with a PKCS#10 request, when the client has made its key itself. */
  readonly csr: string | undefined
}

/** Issues a certificate for a client and takes it on record. A name that is known gets another certificate. */
export async function issueClient(options: IssueClientOptions, now: () => Date): Promise<void> {
  const { name, out } = options
  if (!/^[A-Za-z0-9][A-Za-z0-9 ._@:-]{0,63}$/.test(name)) {
    throw new KeyServerError('bad-argument', 'NAME: 1 to 64 letters, digits, spaces and ._@:- are expected')
  }
  const folder = dataFolder(options.folder)
  await using data = await openData(folder, await readConfig(folder.config), now)
  const authority = await data.identities.authority()
  const profile: Profile = { commonName: name, usages: ['client'], validDays: clientValidDays }
  await makeFolder(out)
  let certificate: string
  if (options.csr === undefined) {
    using identity = await authority.issue(profile)
    await writeNewFile(join(out, 'client.key'), identity.privateKey)
    certificate = identity.certificate
  } else {
    certificate = await authority.signRequest(await readRequest(options.csr), profile)
  }
  await data.register.add('client', name, readCertificate(certificate))
  await writeNewFile(join(out, 'client.pem'), certificate)
  await writeNewFile(join(out, 'ca.pem'), authority.certificate)
}

async function readRequest(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new KeyServerError('bad-argument', `--csr: ${path} cannot be read`, { cause })
  })
  if (text.length <= csrSizeMax) return text
  throw new KeyServerError('bad-argument', `--csr: ${path} has more than ${csrSizeMax} bytes`)
}
