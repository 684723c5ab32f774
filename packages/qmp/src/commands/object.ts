import { list, type Of, optional, structure, text } from '../shape.ts'
import type { Nothing } from './nothing.ts'

/**
 * Objects that may be made. Secrets with their bytes are not among them: `addSecret` makes those, from bytes that are wiped afterwards and in
 * no string.
 */
export type NewObject =
  | { readonly 'qom-type': 'secret'; readonly id: string; readonly format: 'raw' | 'base64'; readonly file: string }
  | {
      readonly 'qom-type': 'tls-creds-x509'
      readonly id: string
      readonly dir: string
      readonly endpoint: 'client' | 'server'
      readonly 'verify-peer'?: boolean
      readonly passwordid?: string
      readonly priority?: string
    }
  | {
      readonly 'qom-type': 'tls-creds-psk'
      readonly id: string
      readonly dir: string
      readonly endpoint: 'client' | 'server'
      readonly username?: string
      readonly priority?: string
    }
  | { readonly 'qom-type': 'authz-simple'; readonly id: string; readonly identity: string }
  | { readonly 'qom-type': 'iothread'; readonly id: string }
  | {
      readonly 'qom-type': 'throttle-group'
      readonly id: string
      readonly limits?: { readonly 'bps-total'?: number; readonly 'iops-total'?: number }
    }
  | {
      readonly 'qom-type': 'memory-backend-memfd'
      readonly id: string
      readonly size: number
      readonly share?: boolean
      readonly merge?: boolean
      readonly dump?: boolean
    }

/** A property of one of QEMU's objects. */
export const objectProperty = structure({ name: text, type: text, description: optional(text) })
export type ObjectProperty = Of<typeof objectProperty>

export interface ObjectCommands {
  'object-add'(object: NewObject): Nothing
  'object-del'(object: { readonly id: string }): Nothing
  'qom-list'(at: { readonly path: string }): readonly ObjectProperty[]
  'qom-get'(at: { readonly path: string; readonly property: string }): unknown
}

export const objectProperties = list(objectProperty)
