import { type Of, optional, structure, text } from '@cryptvisor/ttlv'
import { Tag } from '../tag.ts'

/** KMIP 1.4, 3.36: data of an application; a server may fill in what the client leaves out. */
export const applicationSpecificInformation = (tag: number) =>
  structure(tag, {
    applicationNamespace: text(Tag.ApplicationNamespace),
    applicationData: optional(text(Tag.ApplicationData)),
  })
export type ApplicationSpecificInformation = Of<ReturnType<typeof applicationSpecificInformation>>
