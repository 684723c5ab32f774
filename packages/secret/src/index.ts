export { Secret, secretBytes, secretSizeMax } from './secret.ts'
