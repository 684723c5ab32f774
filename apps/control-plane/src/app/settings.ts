/** What a KEK is labelled with at its creation (DESIGN.md, section 4). */
export interface Labels {
  /** `x-Vendor` */
  readonly vendor: string
  /** `x-Product` */
  readonly product: string
  /** `x-Product_Version` */
  readonly productVersion: string
}

/** What the operator chose in `config.json` and business code needs. */
export interface Settings {
  readonly labels: Labels
  /** For one request to a KMIP server. */
  readonly kmipTimeoutMs: number
}
