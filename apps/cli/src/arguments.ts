import type { DiskFormat } from '@cryptvisor/control-plane-api'
import { InvalidArgumentError } from 'commander'
import { parseSize } from './quantity.ts'

/** The API's own limit: a VM has disks 0 to 63. */
const diskNumberMax = 63

/** An `argParser` for whole numbers from `min` to `max`. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
    if (Number.isNaN(value) || value < min || value > max) {
      throw new InvalidArgumentError(`give a whole number from ${min} to ${max}`)
    }
    return value
  }
}

/** Collects disk numbers, one per option. */
export function diskNumbers(text: string, before: readonly number[] = []): readonly number[] {
  const value = /^\d{1,3}$/.test(text) ? Number(text) : Number.NaN
  if (Number.isNaN(value) || value > diskNumberMax) {
    throw new InvalidArgumentError(
      `disks count from 0; give a whole number from 0 to ${diskNumberMax}, and the option once for each disk`,
    )
  }
  if (before.includes(value)) throw new InvalidArgumentError(`disk ${value} is named twice; name it once`)
  return [...before, value]
}

/** Collects texts, one per option. */
export function texts(text: string, before: readonly string[] = []): readonly string[] {
  if (before.includes(text)) throw new InvalidArgumentError('it is given twice; give it once')
  return [...before, text]
}

/** A disk size in bytes. */
export function diskSize(text: string): number {
  const bytes = parseSize(text)
  if (bytes === null || bytes < 512 || bytes > 2 ** 50) {
    throw new InvalidArgumentError('give a size from 512 to 1PiB, such as 10GiB or 512MiB (units are powers of 1024)')
  }
  return bytes
}

/** The API's own limits. */
const bytesPerSecondMin = 65_536

/** A rate in bytes a second, such as `200MiB/s`; `/s` may be left out. */
export function rate(text: string): number {
  const bytes = parseSize(text.replace(/\s*\/s$/, ''))
  if (bytes === null || bytes < bytesPerSecondMin || bytes > 2 ** 50) {
    throw new InvalidArgumentError('give a rate from 64KiB/s on, such as 200MiB/s (units are powers of 1024)')
  }
  return bytes
}

/** A rate as `rate` takes it; `null` for `none`. */
export function rateOrNone(text: string): number | null {
  return text === 'none' ? null : rate(text)
}

/** Collects disk sizes, one per option; two disks may have the same. */
export function diskSizes(text: string, before: readonly number[] = []): readonly number[] {
  return [...before, diskSize(text)]
}

export const diskFormats: readonly DiskFormat[] = ['raw', 'qcow2']

/** Where a KMIP server listens. */
export interface ServerAddress {
  readonly host: string
  readonly port: number
}

/** IANA's port for KMIP. */
const kmipPort = 5696

/** Collects `HOST:PORT`, `HOST` or `[IPV6]:PORT`, one per option. */
export function serverAddresses(text: string, before: readonly ServerAddress[] = []): readonly ServerAddress[] {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:/\s[\]]+))(?::(\d{1,5}))?$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = match?.[3] === undefined ? kmipPort : Number(match[3])
  if (host === undefined || port < 1 || port > 65_535) {
    throw new InvalidArgumentError('give HOST:PORT, or [ADDRESS]:PORT for IPv6')
  }
  if (before.some((address) => address.host === host && address.port === port)) {
    throw new InvalidArgumentError('it is given twice; give it once')
  }
  return [...before, { host, port }]
}
