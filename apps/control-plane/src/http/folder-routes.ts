import { CreateFolder, Folder, FolderList, FolderPath, MoveTo, RenameFolder } from '@cryptvisor/control-plane-api'
import { Type } from 'typebox'
import { contentRules } from '../app/content-rules.ts'
import type { Platform } from '../app/platform.ts'
import { eachListed, theFolder, theParentFolder } from './objects.ts'
import { Nothing } from './parameters.ts'
import type { Routes } from './routes.ts'

const ByFolder = Type.Object({ folder: FolderPath })

/** Folders of VMs. */
export function folderRoutes({ folders }: Platform): Routes {
  return (server) => {
    server.route({
      method: 'GET',
      url: '/api/v1/folders',
      config: { access: ['System.Read'], on: eachListed },
      schema: { tags: ['folders'], summary: 'All folders with their VMs, by path', response: { 200: FolderList } },
      handler: async ({ principal }) => ({ folders: await folders.list(principal) }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/folders',
      config: { access: ['Folder.Create'], on: theParentFolder, rehearse: true },
      schema: {
        tags: ['folders'],
        summary: 'Make a folder, under the root or in another folder',
        body: CreateFolder,
        response: { 201: Folder },
      },
      handler: async ({ body, principal }, reply) => reply.code(201).send(await folders.create(body, principal)),
    })
    server.route({
      method: 'PATCH',
      url: '/api/v1/folders/:folder',
      config: { access: ['Folder.Rename'], on: theFolder, rehearse: true },
      schema: {
        tags: ['folders'],
        summary: 'Rename a folder, by ID or path',
        params: ByFolder,
        body: RenameFolder,
        response: { 200: Folder },
      },
      handler: ({ params, body, principal }) => folders.rename(params.folder, body, principal),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/folders/:folder/move',
      config: { access: ['Folder.Move'], on: theFolder, also: [contentRules.moveFolderInto], rehearse: true },
      schema: {
        tags: ['folders'],
        summary: 'Move a folder with all that lies in it; permissions of where it goes count for it from then on',
        params: ByFolder,
        body: MoveTo,
        response: { 200: Folder },
      },
      handler: ({ params, body, principal }) => folders.move(params.folder, body.folder, principal),
    })
    server.route({
      method: 'DELETE',
      url: '/api/v1/folders/:folder',
      config: { access: ['Folder.Delete'], on: theFolder, rehearse: true },
      schema: { tags: ['folders'], summary: 'Remove an empty folder', params: ByFolder, response: { 204: Nothing } },
      handler: async ({ params, principal }, reply) => {
        await folders.remove(params.folder, principal)
        return reply.code(204).send(null)
      },
    })
  }
}
