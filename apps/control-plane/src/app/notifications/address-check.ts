import { lookup } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'

/** Nobody of whom we would notify: addresses of this link (cloud metadata among them), of nobody, and of many. */
const refused = new BlockList()
refused.addSubnet('0.0.0.0', 8)
refused.addSubnet('169.254.0.0', 16)
refused.addSubnet('224.0.0.0', 3)
refused.addSubnet('::', 128, 'ipv6')
refused.addSubnet('fe80::', 10, 'ipv6')
refused.addSubnet('ff00::', 8, 'ipv6')

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8)
loopback.addAddress('::1', 'ipv6')

/** The host of `url` as addresses are written by themselves: an IPv6 address without its brackets. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '')
}

/** Whether `host` is this machine itself, by its literal address or as `localhost`. */
export function isLoopback(host: string): boolean {
  const family = isIP(host)
  return host === 'localhost' || (family !== 0 && loopback.check(host, family === 6 ? 'ipv6' : 'ipv4'))
}

/** Whether nothing is ever sent to this address. A name is no address. */
export function isRefusedAddress(address: string): boolean {
  const family = isIP(address)
  return family !== 0 && refused.check(address, family === 6 ? 'ipv6' : 'ipv4')
}

/** Resolves names, and refuses the addresses that nothing is sent to: checked where the connection is made. */
export const safeLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, options, (error, address, family) => {
    if (error === null) {
      const addresses = typeof address === 'string' ? [address] : address.map((each) => each.address)
      const wrong = addresses.find(isRefusedAddress)
      if (wrong !== undefined) {
        callback(new Error(`${hostname} has the address ${wrong}, to which nothing is sent`), '', 0)
        return
      }
    }
    callback(error, address, family)
  })
}
