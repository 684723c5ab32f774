/** The data path for programs that move data and do nothing else: without key records and all that they need. */

export type { Image } from './image.ts'
export { openImageFile } from './image-file.ts'
export type { OpenImage } from './open-image.ts'
export { Pace } from './pace.ts'
export { placeIn } from './place.ts'
export { openDirect } from './read-back.ts'
export { startJob } from './start-job.ts'
export { transfer } from './transfer.ts'
export { verify } from './verify.ts'
