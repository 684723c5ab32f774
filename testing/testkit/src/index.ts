export { temporaryFolder } from './folder.ts'
export { filesBelow, filesWithText, filesWithTrace, formsOf, holdsTrace, processTraces } from './key-traces.ts'
export { PykmipServer, pykmipSkip } from './pykmip-server.ts'
