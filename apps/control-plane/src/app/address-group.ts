import { isIPv6 } from 'node:net'

/**
 * Whose attempts are counted together: an IPv4 address, or the /64 of an IPv6 address, of which one machine may have
 * all (RFC 4291, 2.5.4). What is no address is its own group.
 */
export function addressGroup(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped !== undefined) return mapped
  if (!isIPv6(address)) return address
  // The URL parser writes an address in full but for one run of zeros; a zone (%eth0) is no part of it.
  const [head = '', tail] = new URL(`https://[${address.replace(/%.*$/, '')}]/`).hostname.slice(1, -1).split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0')
  return `${[...left, ...zeros, ...right].slice(0, 4).join(':')}::/64`
}
