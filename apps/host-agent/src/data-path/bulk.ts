/** The data path without disks' headers and key records: what a program needs that moves data and does nothing else. */

export type { Image } from './image.ts'
export { openImageFile } from './image-file.ts'
export type { OpenImage } from './open-image.ts'
export { Pace } from './pace.ts'
export { type Place, placeIn } from './place.ts'
export { openDirect } from './read-back.ts'
export { startJob } from './start-job.ts'
export { transfer } from './transfer.ts'
export { verify } from './verify.ts'
