/** What `lab up --json` prints, and what lies in `lab.json`: all that a client of the lab needs. Paths are absolute. */
export interface LabDescription {
  readonly keyServer: {
    readonly host: string
    readonly port: number
    /** PEM files: the CA of the key server, and a client of its own with full rights over its own objects. */
    readonly ca: string
    readonly clientCert: string
    readonly clientKey: string
    /** The control plane's identity at the key server, for recovery. */
    readonly controlPlaneCert: string
    readonly controlPlaneKey: string
    readonly adminUrl: string
    readonly adminCert: string
    readonly adminKey: string
  }
  readonly controlPlane: {
    readonly url: string
    readonly ca: string
    readonly user: string
    readonly password: string
  }
  readonly hosts: readonly { readonly name: string; readonly url: string; readonly pid: number | null }[]
  readonly datastore: string
  readonly pids: {
    readonly keyServer: number | null
    readonly controlPlane: number | null
    readonly hosts: Readonly<Record<string, number | null>>
  }
}
