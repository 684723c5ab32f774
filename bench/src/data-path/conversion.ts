/** One side of a conversion, as the command line says it. */
export interface ConversionSide {
  readonly path: string
  readonly kind: 'plain' | 'luks'
  /** Where the image begins in the file. */
  readonly offsetBytes: number
}

/** What `convert.ts` is to do. */
export interface Conversion {
  readonly source: ConversionSide
  readonly target: ConversionSide
  readonly sizeBytes: number
  readonly lanes: number
  readonly chunkBytes: number
  /** Past the page cache, and at last written out. */
  readonly direct: boolean
}
