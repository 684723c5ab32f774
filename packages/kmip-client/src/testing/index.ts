export { type Answer, type ScriptedServer, startScriptedServer } from './scripted-server.ts'
