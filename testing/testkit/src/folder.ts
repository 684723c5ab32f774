import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** What of `node:test` is needed: something to run when the test is over. */
interface Ending {
  after(run: () => void): void
}

/** Makes an empty folder that goes away, with all in it, when the test is over. */
export function temporaryFolder(context: Ending): string {
  const folder = mkdtempSync(join(tmpdir(), 'cryptvisor-test-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
