import type { DiskAuthority, KeyReference } from '@cryptvisor/host-agent-api'

type Format = DiskAuthority['format']

/** The name of an encrypted layer's file in its VM's folder. */
export function luksName(layerId: string): string {
  return `${layerId}.luks`
}

/** The name of the file that has the key record of an adopted layer, where its header has no room for it. */
export function keyName(layerId: string): string {
  return `${layerId}.key`
}

/** The name of a plain layer's file. */
export function plainName(layerId: string, format: Format): string {
  return `${layerId}.${format}`
}

/** The name of the file of a disk's layer. */
export function layerName({ layerId, format, encryption }: Pick<DiskAuthority, 'layerId' | 'format' | 'encryption'>) {
  return encryption === null ? plainName(layerId, format) : luksName(layerId)
}

/** The names of all files of a disk's layer: of an adopted one the file of its key record too, whether it has one or not. */
export function layerNames(disk: Pick<DiskAuthority, 'layerId' | 'format' | 'encryption'>): string[] {
  const { layerId, encryption } = disk
  const isAdopted = encryption !== null && encryption.luksUuid !== layerId
  return [layerName(disk), ...(isAdopted ? [keyName(layerId)] : [])]
}

/** A new layer's encryption: its LUKS UUID is its layer ID, since both are new and stay together. */
export function newLayerEncryption(layerId: string, key: KeyReference): NonNullable<DiskAuthority['encryption']> {
  return { keys: [key], generation: 1, luksUuid: layerId }
}
