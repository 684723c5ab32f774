export { type PykmipServer, pykmipSkip, startPykmip } from './pykmip-server.ts'
export { type Answer, type ScriptedServer, startScriptedServer } from './scripted-server.ts'
