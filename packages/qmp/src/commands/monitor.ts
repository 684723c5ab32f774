import { list, number, type Of, oneOf, optional, structure, text } from '../shape.ts'
import type { Nothing } from './nothing.ts'

export const qemuVersion = structure({
  qemu: structure({ major: number, minor: number, micro: number }),
  /** The distribution's own words; often empty. */
  package: text,
})
export type QemuVersion = Of<typeof qemuVersion>

/** An entry of QEMU's description of its own monitor; what it holds depends on `meta-type`. */
export const schemaEntry = structure({
  name: text,
  'meta-type': oneOf('builtin', 'enum', 'array', 'object', 'alternate', 'command', 'event'),
  'arg-type': optional(text),
  'ret-type': optional(text),
  'element-type': optional(text),
  /** Those of an enumeration have no type, those of an alternate no name. */
  members: optional(list(structure({ name: optional(text), type: optional(text) }))),
  variants: optional(list(structure({ case: text, type: text }))),
  values: optional(list(text)),
})
export type SchemaEntry = Of<typeof schemaEntry>

/** A connection of QEMU's that can be cut; what it is called depends on `type`. */
export const yankInstances = list(structure({ type: oneOf('block-node', 'chardev', 'migration') }))

export const fdSets = list(structure({ 'fdset-id': number, fds: list(structure({ fd: number })) }))
export const commandNames = list(structure({ name: text }))
export const schemaEntries = list(schemaEntry)

export interface MonitorCommands {
  qmp_capabilities(want?: { readonly enable?: readonly 'oob'[] }): Nothing
  'query-version'(): QemuVersion
  'query-commands'(): Of<typeof commandNames>
  'query-qmp-schema'(): readonly SchemaEntry[]
  /** What `qemu-io` prints goes to QEMU's own standard output, not into the answer. */
  'human-monitor-command'(line: { readonly 'command-line': string }): string
  'query-fdsets'(): Of<typeof fdSets>
  'remove-fd'(gone: { readonly 'fdset-id': number; readonly fd?: number }): Nothing
  'query-yank'(): Of<typeof yankInstances>
  /** Cuts connections that hang; may be sent out of band. */
  yank(gone: { readonly instances: readonly YankInstance[] }): Nothing
}

/** A connection to cut. */
export type YankInstance =
  | { readonly type: 'block-node'; readonly 'node-name': string }
  | { readonly type: 'chardev'; readonly id: string }
  | { readonly type: 'migration' }
