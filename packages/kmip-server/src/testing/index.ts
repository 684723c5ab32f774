export { exerciseObjectStore } from './exercise-object-store.ts'
export { MemoryObjectStore } from './memory-object-store.ts'
