import { readFile, statfs } from 'node:fs/promises'
import { arch, availableParallelism, cpus, freemem, loadavg, release, totalmem, uptime, version } from 'node:os'
import { runTool } from '../process/tool.ts'

/** More of a file of the kernel's is not read. */
const textSizeMax = 1_048_576

/** Whose versions matter, and how they are asked for it. */
const tools = ['qemu-img', 'qemu-system-x86_64', 'cryptsetup', 'flock', 'blockdev'] as const

/** The machine that the agent runs on. Nothing of its environment and of its arguments. */
export async function systemFacts(): Promise<object> {
  return {
    time: new Date().toISOString(),
    timeZoneOffsetMinutes: new Date().getTimezoneOffset(),
    kernel: { release: release(), version: version(), architecture: arch() },
    system: /^PRETTY_NAME="?([^"\n]*)/m.exec((await text('/etc/os-release')) ?? '')?.[1] ?? null,
    uptimeSeconds: uptime(),
    processors: { count: availableParallelism(), model: cpus()[0]?.model ?? null },
    memory: { totalBytes: totalmem(), freeBytes: freemem(), loadAverage: loadavg() },
    swaps: ((await text('/proc/swaps')) ?? '').trim().split('\n').slice(1),
    clocksource: (await text('/sys/devices/system/clocksource/clocksource0/current_clocksource'))?.trim() ?? null,
    agent: {
      node: process.version,
      openssl: process.versions.openssl,
      uptimeSeconds: process.uptime(),
      memory: process.memoryUsage(),
    },
    tools: Object.fromEntries(await Promise.all(tools.map(async (tool) => [tool, await versionOf(tool)]))),
  }
}

/** Room and mount of the file system that a path lies on. */
export async function placeFacts(path: string): Promise<object> {
  const { bavail, bfree, blocks, bsize, files, ffree } = await statfs(path)
  return {
    path,
    sizeBytes: blocks * bsize,
    freeBytes: bfree * bsize,
    availableBytes: bavail * bsize,
    inodes: { count: files, free: ffree },
    mount: mountOf((await text('/proc/self/mountinfo')) ?? '', path),
  }
}

/** proc(5), mountinfo: the mount whose mount point is the longest that leads to the path. */
function mountOf(mountinfo: string, path: string): object | null {
  const mounts = mountinfo.split('\n').flatMap((line) => {
    const match = /^\S+ \S+ \S+ \S+ (\S+) (\S+) .*?- (\S+) (\S+) (\S+)$/.exec(line)
    if (match === null) return []
    const [, point = '', options, type, source, superOptions] = match
    const isAbove = point === '/' || path === point || path.startsWith(`${point}/`)
    return isAbove ? [{ point, options, type, source, superOptions }] : []
  })
  // The last of several at one place is on top.
  return mounts.reduce<(typeof mounts)[number] | null>(
    (best, mount) => (best === null || mount.point.length >= best.point.length ? mount : best),
    null,
  )
}

async function versionOf(tool: string): Promise<string | null> {
  const { exitCode, stdout } = await runTool(tool, ['--version'], { timeoutMs: 5000 })
  return exitCode === 0 ? (stdout.split('\n')[0] ?? null) : null
}

async function text(path: string): Promise<string | null> {
  try {
    return (await readFile(path, 'utf8')).slice(0, textSizeMax)
  } catch {
    return null
  }
}
