export type { DescriptorTools } from './descriptor-tools.ts'
export { errno } from './errno.ts'
export { NodeStorage } from './node-storage.ts'
export {
  directAlignmentBytes,
  type OpenOptions,
  type Storage,
  type StorageAccess,
  type StorageFile,
  type StorageFolder,
  type StorageStats,
} from './storage.ts'
