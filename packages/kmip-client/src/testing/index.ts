export { type PykmipServer, pykmipSkip, startPykmip } from './pykmip-server.ts'
