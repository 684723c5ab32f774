import type { Nothing } from './nothing.ts'

export interface BitmapChange {
  readonly node: string
  readonly name: string
}

export interface NewBitmap extends BitmapChange {
  readonly granularity?: number
  readonly persistent?: boolean
  readonly disabled?: boolean
}

export interface MergeBitmaps {
  readonly node: string
  readonly target: string
  readonly bitmaps: readonly (string | BitmapChange)[]
}

/** Bitmaps of what the guest has written, the ground of incremental backups. */
export interface BitmapCommands {
  'block-dirty-bitmap-add'(bitmap: NewBitmap): Nothing
  'block-dirty-bitmap-remove'(bitmap: BitmapChange): Nothing
  'block-dirty-bitmap-clear'(bitmap: BitmapChange): Nothing
  'block-dirty-bitmap-enable'(bitmap: BitmapChange): Nothing
  'block-dirty-bitmap-disable'(bitmap: BitmapChange): Nothing
  'block-dirty-bitmap-merge'(bitmaps: MergeBitmaps): Nothing
}
