import type { CreateVm, Task } from '@cryptvisor/control-plane-api'
import type { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'
import { RestClientError } from '@cryptvisor/rest/client'
import type { Cli } from './cli.ts'
import { CliError } from './cli-error.ts'
import { isEncryptionPolicy } from './encryption-policy.ts'
import { failureOf } from './failure.ts'
import type { ImageFile } from './image-file.ts'
import { sendImage } from './send-image.ts'
import { requireSuccess, waitForTask } from './task-wait.ts'

export interface ImportRequest {
  readonly name: string
  readonly placement: Omit<CreateVm, 'name'>
  readonly policy: string | undefined
  readonly keyProvider: string | undefined
  /** Whether to wait for the last task. */
  readonly wait: boolean
  readonly images: readonly ImageFile[]
}

/** What an import has made so far: the VM's name and ID, and the task that worked on it last. */
interface Made {
  readonly name: string
  readonly vm: string
  readonly task: Task
}

/**
 * Creates a VM, sends its images, and encrypts it when the policy says so; gives the last task. Whatever fails before
 * the end, the half-made VM is removed again, and the error says so; Ctrl-C does the same, until all that is left is to
 * wait for the encryption: that goes on.
 */
export function importVm(cli: Cli, client: ControlPlaneClient, request: ImportRequest): Promise<Task> {
  return cli.surroundings.interrupt.during(async (signal) => {
    const { name, placement, policy, wait, images } = request
    const encryptWith = await checkPolicy(client, request)
    const plain = policy === undefined || encryptWith !== null ? {} : { policy }
    let last = (await client.createVm({ name, ...placement, ...plain })).task
    // By its ID: a VM of the same name that was there before must never be the one to remove.
    const vm = last.target.id
    let onlyWaiting = false
    try {
      await cli.waitFor(client, last, signal)
      for (const [number, image] of images.entries()) {
        last = (await client.importDisk(vm, { format: image.format, contentBytes: image.sizeBytes })).task
        last = await sendImage(cli, client, last, image, `disk ${number}`, signal)
        if (wait || encryptWith !== null || number < images.length - 1) last = await cli.waitFor(client, last, signal)
      }
      if (encryptWith === null) return last
      const { keyProvider } = request
      const change = { policy: encryptWith, ...(keyProvider === undefined ? {} : { keyProvider }) }
      last = (await client.changePolicy(vm, change)).task
      onlyWaiting = true
      return wait ? await cli.waitFor(client, last, signal) : last
    } catch (error) {
      if (onlyWaiting && isInterruption(error)) throw error
      throw await undone(cli, client, { name, vm, task: last }, error)
    }
  })
}

/** The policy to encrypt with at the end; `null`: not at all. Throws `CliError` before anything is made. */
async function checkPolicy(client: ControlPlaneClient, request: ImportRequest): Promise<string | null> {
  const { policy, keyProvider } = request
  if (policy !== undefined && (await isEncryptionPolicy(client, policy))) return policy
  if (keyProvider === undefined) return null
  throw new CliError('usage', '--key-provider: is of no use without a policy that encrypts', {
    field: '--key-provider',
    next: 'leave it out, or give --policy with a policy that encrypts: cryptvisor policy list',
  })
}

function isInterruption(error: unknown): boolean {
  return error instanceof CliError && error.code === 'interrupted'
}

/** Removes the half-made VM and gives the error to report: the first one, with what became of the VM. */
async function undone(cli: Cli, client: ControlPlaneClient, made: Made, error: unknown): Promise<CliError> {
  const failure = failureOf(error, 'vm')
  const interrupted = isInterruption(error)
  const message = interrupted ? 'the import was interrupted' : failure.message
  const report = (fate: string, next: string | undefined) =>
    new CliError(error instanceof CliError ? error.code : 'task-failed', `${message}; ${fate}`, {
      serviceCode: failure.code,
      exitCode: failure.exitCode,
      ...(failure.field === undefined ? {} : { field: failure.field }),
      ...(next === undefined ? {} : { next }),
      cause: error,
    })
  cli.hint(`removing the half-made VM ${made.name}`)
  try {
    await remove(cli, client, made)
  } catch {
    return report(`the half-made VM ${made.name} is still there`, `remove it: cryptvisor vm delete ${made.vm}`)
  }
  return report(`the half-made VM ${made.name} was removed again`, interrupted ? undefined : failure.next)
}

/** Ends the task that works on the VM, then deletes the VM; one that is not there is fine. */
async function remove(cli: Cli, client: ControlPlaneClient, { vm, task }: Made): Promise<void> {
  using display = cli.progress()
  // Ctrl-C has done its work by now; the next one ends the program.
  const options = { signal: new AbortController().signal, display, pace: cli.surroundings.pollPace }
  const last = await client.cancelTask(task.id).catch((error: unknown) => {
    // Without the privilege to cancel: an import that gets no more content ends by itself.
    if (error instanceof RestClientError && error.status === 403) return client.task(task.id)
    throw error
  })
  await waitForTask(client, last, options)
  try {
    const { task: deletion } = await client.deleteVm(vm)
    requireSuccess(await waitForTask(client, deletion, options))
  } catch (error) {
    if (!(error instanceof RestClientError && error.status === 404)) throw error
  }
}
