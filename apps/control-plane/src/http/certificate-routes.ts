import { CertificateList } from '@cryptvisor/control-plane-api'
import type { Platform } from '../app/platform.ts'
import { theHost } from './objects.ts'
import { ByName, Nothing } from './parameters.ts'
import type { Routes } from './routes.ts'

/** All certificates, and the renewal of hosts'. */
export function certificateRoutes({ certificateInventory, hostCertificates }: Platform): Routes {
  return (server) => {
    server.route({
      method: 'GET',
      url: '/api/v1/certificates',
      config: { access: ['Certificate.Manage'] },
      schema: {
        tags: ['certificates'],
        summary: 'All certificates that are depended on, those that end first at the top',
        response: { 200: CertificateList },
      },
      handler: async () => ({ certificates: await certificateInventory.list() }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/hosts/:name/renew-certificate',
      config: { access: ['Certificate.Manage'], on: theHost, rehearse: true },
      schema: {
        tags: ['certificates'],
        summary: 'Have a connected host ask for a new certificate soon, which then takes the place of the present one',
        params: ByName,
        response: { 202: Nothing },
      },
      handler: async ({ params }, reply) => {
        await hostCertificates.askToRenew(params.name)
        return reply.code(202).send(null)
      },
    })
  }
}
