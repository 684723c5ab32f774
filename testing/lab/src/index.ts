export { type LoggedIn, logIn } from './control-plane.ts'
export type { LabDescription } from './description.ts'
export { keyProviderOf, keyServerAdminOf } from './key-server.ts'
export { Lab } from './lab.ts'
export {
  clusterName,
  datastoreName,
  hostNames,
  isServiceName,
  providerName,
  type ServiceName,
  serviceNames,
} from './names.ts'
export { environment, ProgramError, programPath, runProgram } from './program.ts'
export { recoveryScript } from './recovery-script.ts'
export { TemporaryLab } from './temporary-lab.ts'
