import { join } from 'node:path'

/** Where everything of a lab in `folder` (an absolute path) lies. */
export function placesIn(folder: string) {
  const client = join(folder, 'clients', 'lab')
  const controlPlane = join(folder, 'clients', 'control-plane')
  const data = (service: string) => join(folder, service)
  return {
    folder,
    /** What `lab up --json` printed last. */
    description: join(folder, 'lab.json'),
    datastore: join(folder, 'datastore'),
    logs: join(folder, 'log'),
    runs: join(folder, 'run'),
    /** Root keys lie outside every data folder, as they would on a real machine. */
    rootKeys: join(folder, 'root-keys'),
    password: join(folder, 'secrets', 'admin-password'),
    client,
    controlPlane,
    data,
  }
}

export type Places = ReturnType<typeof placesIn>
