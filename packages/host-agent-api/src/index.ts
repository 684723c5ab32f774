export { HostAgentClient } from './client.ts'
export { BrowseDatastore, FoundFolder, FoundFolders, FoundVm, InspectVm } from './datastore.ts'
export { CoreDump, CoreDumps } from './dumps.ts'
export { CryptoState, HostStatus, KeyMemory } from './host.ts'
export { EnableKeyPersistence, KeyPersistence, keepDaysMax } from './key-persistence.ts'
export { ComparedKey, HeldKeys, KeyReference, kekSizeBytes } from './keys.ts'
export {
  Acceleration,
  ChangePower,
  MachineList,
  MachineReport,
  MachineStatus,
  PowerAction,
  PowerOn,
} from './machine.ts'
export {
  AddDisk,
  AttachDisk,
  BackupHeader,
  ChangePolicies,
  CloneVm,
  CreateVm,
  Decrypt,
  DeepRekey,
  DeleteVm,
  DetachDisk,
  Encrypt,
  ExportDisk,
  ImportDisk,
  ImportVolume,
  OperationErrorCode,
  OperationRequest,
  OperationStatus,
  RemoveLayer,
  RestoreHeader,
  ShallowRekey,
  Speed,
  VmFiles,
} from './operation.ts'
export {
  controlPlaneUri,
  EnrolAnswer,
  EnrolmentToken,
  EnrolRequest,
  epochOf,
  epochUri,
  Heartbeat,
  heartbeatMs,
  hostUri,
  RenewRequest,
  SessionRequest,
} from './session.ts'
export { SupportBundlePlan, supportBundleRequestSizeMax, TakeSupportBundle } from './support-bundle.ts'
export {
  DevicePath,
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
