import type { Task } from '@cryptvisor/control-plane-api'
import type { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'
import type { Cli } from './cli.ts'
import type { ImageFile } from './image-file.ts'
import { sendImage } from './send-image.ts'

/** Announces a task that waits for a file, does what comes before its content, and sends that; whatever fails, the task does not wait on. */
export async function sendFor(
  cli: Cli,
  client: ControlPlaneClient,
  image: ImageFile,
  path: string,
  announce: () => Promise<{ readonly task: Task; readonly before: (signal: AbortSignal) => Promise<void> }>,
): Promise<Task> {
  return cli.surroundings.interrupt.during(async (signal) => {
    const { task, before } = await announce()
    try {
      await before(signal)
      return await cli.waitFor(client, await sendImage(cli, client, task, image, path, signal), signal)
    } catch (error) {
      // The first error is the one to report.
      await client.cancelTask(task.id).catch(() => undefined)
      throw error
    }
  })
}
