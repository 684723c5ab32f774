/** The services of a lab, in the order in which they start. */
export const serviceNames = ['key-server', 'control-plane', 'host-a', 'host-b'] as const
export type ServiceName = (typeof serviceNames)[number]

/** The hosts among them. */
export const hostNames = ['host-a', 'host-b'] as const

export const isServiceName = (text: string): text is ServiceName => (serviceNames as readonly string[]).includes(text)

export const clusterName = 'lab'
export const datastoreName = 'lab'
export const providerName = 'lab-kms'
export const userName = 'admin'
