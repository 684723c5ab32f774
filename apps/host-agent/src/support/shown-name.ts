import { vmDocumentName } from '../datastore/vm-document.ts'
import { vmLockName } from '../datastore/vm-lock.ts'
import { homeFolderName, isConfigurationName } from '../home/configuration.ts'
import { keySafeName, nextKeySafeName } from '../home/key-safe.ts'
import { creatingName } from '../operation/create-vm.ts'
import { journalName } from '../operation/journal.ts'
import { uuidPattern } from '../uuid.ts'

const fixedNames: ReadonlySet<string> = new Set([
  vmDocumentName,
  vmLockName,
  creatingName,
  journalName,
  homeFolderName,
  keySafeName,
  nextKeySafeName,
])

/** Of layers, by their IDs: the image, its key record, a header that is kept while it is converted in place. */
const layerFile = new RegExp(`^${uuidPattern}\\.(luks|raw|qcow2|key|header|volume|nvram|record)$`)

/** Whether this is what files of ours are called: other names may say anything, a password too, and are not shown. */
export function isOurName(name: string): boolean {
  const bare = name.replace(/\.new$/, '')
  return fixedNames.has(bare) || layerFile.test(bare) || isConfigurationName(bare)
}
