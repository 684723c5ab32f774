export { Secret, secretSizeMax } from './secret.ts'
