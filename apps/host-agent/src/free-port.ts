import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'

/** A TCP port that nobody listens on at `address` now; somebody may take it before we do. Rejects as listening does. */
export async function freePort(address: string): Promise<number> {
  const server = createServer().listen({ host: address, port: 0 })
  try {
    await once(server, 'listening')
    // A listening TCP server has an address of this kind.
    return (server.address() as AddressInfo).port
  } finally {
    server.close()
  }
}
