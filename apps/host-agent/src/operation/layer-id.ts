import { v5 } from 'uuid'

/** The namespace of our layer IDs (RFC 9562, 5.5). */
const namespace = '0d9a2a53-2f0c-4b5e-9d3b-1f2f6f0a7c11'

/**
 * The ID of the layer that an operation makes for a disk. It follows from both IDs alone, so that after a crash the control
 * plane's word is enough to know which files an operation may have left; an operation ID is used once, and so is this.
 */
export function newLayerId(operationId: string, diskId: string): string {
  return v5(`${operationId}/${diskId}`, namespace)
}
