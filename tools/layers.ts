/**
 * Each workspace package and its layer; imports go down, never up or sideways (docs/decisions/0001-layers.md).
 * `testkit` and `e2e` are for tests only: any test may import them, no program may.
 */
export const layers: Readonly<Record<string, number>> = {
  '@cryptvisor/secret': 0,
  '@cryptvisor/crypto': 1,
  '@cryptvisor/pki': 1,
  '@cryptvisor/ttlv': 1,
  '@cryptvisor/key-record': 2,
  '@cryptvisor/kmip': 2,
  '@cryptvisor/luks': 2,
  '@cryptvisor/qcow2': 2,
  '@cryptvisor/sealed-file': 2,
  '@cryptvisor/key-store': 3,
  '@cryptvisor/kmip-client': 3,
  '@cryptvisor/kmip-server': 3,
  '@cryptvisor/process-guard': 3,
  '@cryptvisor/qmp': 3,
  '@cryptvisor/rest': 3,
  '@cryptvisor/sqlite': 3,
  '@cryptvisor/storage': 3,
  '@cryptvisor/support-bundle': 3,
  '@cryptvisor/control-plane-api': 4,
  '@cryptvisor/host-agent-api': 4,
  '@cryptvisor/key-provider': 4,
  '@cryptvisor/key-server-api': 4,
  '@cryptvisor/cli': 5,
  '@cryptvisor/control-plane': 5,
  '@cryptvisor/host-agent': 5,
  '@cryptvisor/key-server': 5,
}

/** Packages that only tests may import. */
export const testOnly: ReadonlySet<string> = new Set(['@cryptvisor/testkit', '@cryptvisor/e2e'])
