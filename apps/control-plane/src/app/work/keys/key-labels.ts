import type { Labels } from '../../settings.ts'
import type { KeyOwner } from './key-rows.ts'
import type { KeyLabels } from './kms.ts'

/** Where a key comes from; set at its creation (DESIGN.md, section 4). */
export function productLabels(labels: Labels): KeyLabels {
  return { 'x-Vendor': labels.vendor, 'x-Product': labels.product, 'x-Product_Version': labels.productVersion }
}

/** What a wrapping key is for: no VM and no host, but all that take it. */
export function wrappingKeyLabels(provider: string): KeyLabels {
  return { 'x-Component': 'Key Provider', 'x-Name': provider, 'x-Identifier': provider }
}

/** What a key is for; set when it is used. `identifier`: the VM's instance UUID or the host's hardware UUID. */
export function ownerLabels(owner: KeyOwner, identifier: string): KeyLabels {
  return {
    'x-Component': owner.kind === 'vm' ? 'Virtual Machine' : 'ESXi Server',
    'x-Name': owner.name,
    'x-Identifier': identifier,
  }
}
