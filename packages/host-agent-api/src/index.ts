export { HostAgentClient } from './client.ts'
export { CryptoState, HostStatus, KeyMemory } from './host.ts'
export { HeldKeys, KeyReference, kekSizeBytes } from './keys.ts'
export {
  AddDisk,
  CreateVm,
  Decrypt,
  DeleteVm,
  Encrypt,
  ImportDisk,
  OperationErrorCode,
  OperationRequest,
  OperationStatus,
  VmFiles,
} from './operation.ts'
export {
  controlPlaneUri,
  EnrolAnswer,
  EnrolmentToken,
  EnrolRequest,
  heartbeatMs,
  hostUri,
  SessionRequest,
} from './session.ts'
export {
  DiskAuthority,
  diskSizeMax,
  EncryptionAuthority,
  Id,
  LockState,
  PayloadFormat,
  PolicyName,
  VmAuthority,
  VmDetails,
} from './vm.ts'
