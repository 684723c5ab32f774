import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'

/** A TCP port that nobody listens on at `address` now; the system may give it to somebody else before it is taken. */
export async function freePort(address: string): Promise<number> {
  const server = createServer()
  server.listen({ host: address, port: 0 })
  try {
    await once(server, 'listening')
    // A listening TCP server has an address of this kind.
    return (server.address() as AddressInfo).port
  } finally {
    server.close()
  }
}
