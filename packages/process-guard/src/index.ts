export { areCoreDumpsOff, guardMemory } from './guard-memory.ts'
export { thisStart, unsafeStart } from './unsafe-start.ts'
