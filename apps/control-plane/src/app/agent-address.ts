import { ControlPlaneError } from './control-plane-error.ts'

/**
 * The host name or IP address within the URL of an agent's REST. Throws `invalid` for anything but an https URL without
 * path, query and user.
 */
export function agentAddress(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : null
  // A URL parser drops line ends and tabs, and what was shown would not be what was checked.
  if (
    parsed === null ||
    /[^!-~]/.test(url) ||
    parsed.protocol !== 'https:' ||
    parsed.href !== `https://${parsed.host}/`
  ) {
    throw new ControlPlaneError('invalid', 'url: expected https://HOST:PORT and nothing else', { field: 'url' })
  }
  return parsed.hostname.replace(/^\[(.*)\]$/, '$1')
}
