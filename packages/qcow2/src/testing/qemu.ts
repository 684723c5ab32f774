import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'

type Program = 'qemu-img' | 'qemu-io'

/** Runs one of QEMU's own tools, however it ends. */
export function tryQemu(program: Program, ...args: readonly string[]) {
  return spawnSync(program, args, { encoding: 'utf8' })
}

/** Runs one of QEMU's own tools, which must succeed, and gives back what it printed. */
export function qemu(program: Program, ...args: readonly string[]): string {
  const { status, stdout, stderr } = tryQemu(program, ...args)
  assert.equal(status, 0, `${program} ${args.join(' ')}: ${stdout}${stderr}`)
  // qemu-io says that a command failed in its output alone.
  assert.doesNotMatch(stdout + stderr, /failed|error:/i, `${program} ${args.join(' ')}`)
  return stdout
}

/** Has qemu-io do some commands on a qcow2 image. */
export function qemuIo(path: string, ...commands: readonly string[]): void {
  qemu('qemu-io', '-f', 'qcow2', ...commands.flatMap((command) => ['-c', command]), path)
}
