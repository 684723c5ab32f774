import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { hostUri } from '@cryptvisor/host-agent-api'
import { readCertificate } from '@cryptvisor/pki'
import type { RestServer } from '@cryptvisor/rest'
import { Type } from 'typebox'
import type { KeyCache } from '../key-cache.ts'
import type { SessionWatch } from '../session.ts'

const Live = Type.Object({ status: Type.Literal('ok') })
const Check = Type.Object({
  name: Type.String(),
  ok: Type.Boolean(),
  text: Type.String({ description: 'What is wrong, and what to do; empty: nothing' }),
})
const Ready = Type.Object({
  status: Type.Union([Type.Literal('ok'), Type.Literal('not-ready')]),
  checks: Type.Array(Check),
})

/** Whether it is one of the addresses at which whoever supervises this machine asks. */
export const isHealth = (url: string | undefined): boolean => url === '/livez' || url === '/readyz'

/** Lets this host's own identity in: whoever can read that is root here. Whether somebody else may, `admitControlPlane` says. */
export function isThisHost(socket: Socket, hostId: string): boolean {
  const peer = socket instanceof TLSSocket && socket.authorized ? socket.getPeerX509Certificate() : undefined
  return peer !== undefined && readCertificate(peer.raw).uris[0] === hostUri(hostId)
}

/** `/livez` and `/readyz`: whether the agent answers, and whether it can do its work. No key is named. */
export function addHealthRoutes(
  app: RestServer,
  {
    keys,
    cryptoSupported,
    session,
  }: { readonly keys: KeyCache; readonly cryptoSupported: boolean; readonly session: SessionWatch },
): void {
  app.get('/livez', { schema: { response: { 200: Live } } }, async () => ({ status: 'ok' as const }))
  app.get('/readyz', { schema: { response: { 200: Ready, 503: Ready } } }, async (_request, reply) => {
    const checks = [
      check('session', session.isConnected, 'no session with the control plane: see the agent’s log for the reason'),
      // A host that takes no keys needs none.
      check(
        'keys',
        !cryptoSupported || keys.hostKey !== null,
        'it holds no host key, so encrypted VMs do not open: «host show» at the control plane says why',
      ),
    ]
    const ok = checks.every((each) => each.ok)
    return await reply.code(ok ? 200 : 503).send({ status: ok ? 'ok' : 'not-ready', checks })
  })
}

function check(name: string, ok: boolean, problem: string) {
  return { name, ok, text: ok ? '' : problem }
}
