import { isIP } from 'node:net'

/** RFC 1123, 2.1: labels of letters, digits and hyphens. */
const label = '[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?'
const pattern = new RegExp(`^${label}(\\.${label})*$`)
const lengthMax = 253

/** Whether a text is an address or a name of a host: what a certificate can show and a client can connect to. */
export function isHostName(text: string): boolean {
  return isIP(text) !== 0 || (text.length <= lengthMax && pattern.test(text))
}
