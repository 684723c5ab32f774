import type { ObjectType } from '../enumeration.ts'

/** KMIP 1.4, 2.2: keys with a Key Block. */
export const keys: readonly ObjectType[] = ['SymmetricKey', 'PublicKey', 'PrivateKey', 'SplitKey', 'PGPKey']
export const asymmetricKeys: readonly ObjectType[] = ['PublicKey', 'PrivateKey']
export const certificates: readonly ObjectType[] = ['Certificate']
/** "All Cryptographic Objects": they have a State. */
export const cryptographicObjects: readonly ObjectType[] = [...keys, 'Certificate', 'SecretData']
/** "All Objects" that are managed. */
export const allObjects: readonly ObjectType[] = [...cryptographicObjects, 'Template', 'OpaqueObject']
