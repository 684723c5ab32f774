import { Readable } from 'node:stream'
import type { Task } from '@cryptvisor/control-plane-api'
import type { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'
import { RestClientError } from '@cryptvisor/rest/client'
import type { Cli } from './cli.ts'
import { CliError } from './cli-error.ts'
import type { ImageFile } from './image-file.ts'
import { transferDisplay } from './progress.ts'
import { hasEnded, requireSuccess } from './task-wait.ts'

/** Sends one image, which is called `what`, for the import that waits for it. Throws the task's own reason where the task has one. */
export async function sendImage(
  cli: Cli,
  client: ControlPlaneClient,
  task: Task,
  image: ImageFile,
  what: string,
  signal: AbortSignal,
): Promise<Task> {
  using display = cli.progress()
  let fault: unknown
  const sent = transferDisplay(cli.surroundings, display, `sending ${what}`, image.sizeBytes)
  const content = Readable.from(image.content(sent)).on('error', (error) => {
    fault = error
  })
  try {
    return await client.sendContent(task.id, content, image.sizeBytes, signal)
  } catch (error) {
    if (signal.aborted) throw new CliError('interrupted', 'sending was interrupted', { cause: error })
    if (fault instanceof CliError) throw fault
    // The service may end the connection rather than read on after it has refused an image.
    if (error instanceof RestClientError && error.code !== 'answered')
      requireSuccess(await endedTask(client, task, error))
    throw error
  } finally {
    content.destroy()
  }
}

/** The task, if it has ended; else throws `error`. */
async function endedTask(client: ControlPlaneClient, task: Task, error: unknown): Promise<Task> {
  const found = await client.task(task.id).catch(() => task)
  if (hasEnded(found)) return found
  throw error
}
