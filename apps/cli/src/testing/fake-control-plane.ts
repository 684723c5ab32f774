import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Readable } from 'node:stream'
import type { Event, Rehearsal, Task } from '@cryptvisor/control-plane-api'
import { CertificateAuthority } from '@cryptvisor/pki'
import { buildServer, RestError, type RestServer } from '@cryptvisor/rest'
import { cannedTask, cannedTime } from './canned.ts'
import { addFakeRoutes } from './fake-routes.ts'

const waitingStep = 'waiting for content'

/** What the real one lets anybody ask: ways to log in. */
const publicCall = /^(POST|GET) \/api\/v1\/login(\/.*)?$/

/** One request as it came: `POST /api/v1/vms`, with its JSON body. */
export interface RecordedCall {
  readonly call: string
  readonly body: unknown
}

/** How tasks of a type end. */
export interface Ending {
  readonly state: 'success' | 'error' | 'cancelled'
  readonly error?: { readonly code: string; readonly message: string }
}

/**
 * A control plane for tests of its clients: a real HTTPS server over the API's own schemas, which refuse what the real
 * one would; its state is canned, and each task goes by a script.
 */
export class FakeControlPlane implements AsyncDisposable {
  readonly calls: RecordedCall[] = []
  /** What to refuse, by `METHOD /path`. */
  readonly refusals = new Map<string, RestError>()
  /** By task type; success where there is none. `never`: goes on for ever, unless it is cancelled. */
  readonly endings = new Map<string, Ending | 'never'>()
  readonly tasks = new Map<string, Task>()
  readonly events: Event[] = []
  readonly tokens = new Set<string>(['good-token'])
  /** Whether VMs are encrypted, except new ones. */
  encrypted = false
  /** What came in by imports: SHA-256, in hexadecimal. */
  readonly contents: string[] = []
  /** The passphrases of volumes that came in. */
  readonly passphrases: string[] = []
  /** As while the host of an import is not ready for it: no answer comes. */
  passphraseWaits = false
  /** What a disk's export answers, and whether the connection breaks before it is whole. */
  exported = Buffer.alloc(0)
  exportBreaksOff = false
  /** What opens a sealed support bundle. */
  bundleKey = Buffer.alloc(0)
  /** The client keys of key providers that came in, PEM. */
  readonly clientKeys: string[] = []
  /** What came as bytes for native providers: passwords and backups. */
  readonly secrets: string[] = []
  /** What is answered to every dry run. */
  rehearsal: Rehearsal = { dryRun: true, effects: [], answer: null }
  /** How to meet an import's content: read it, refuse it unread, or break the connection in the middle. */
  contentManner: 'read' | 'refuse' | 'break' = 'read'
  readonly password = 'correct horse battery'
  readonly url: string
  /** PEM. */
  readonly ca: string
  readonly #server: RestServer
  readonly #listeners = new Set<(event: Event) => void>()

  private constructor(server: RestServer, ca: string) {
    this.#server = server
    this.ca = ca
    // A TCP server that listens has an address of this kind.
    this.url = `https://127.0.0.1:${(server.server.address() as AddressInfo).port}`
  }

  static async start(): Promise<FakeControlPlane> {
    const { authority, privateKey } = await CertificateAuthority.create('fake CA', 1, () => new Date())
    privateKey[Symbol.dispose]()
    using identity = await authority.issue({
      commonName: 'fake',
      usages: ['server'],
      hosts: ['127.0.0.1'],
      validDays: 1,
    })
    const server = await buildServer({
      title: 'fake control plane',
      description: 'for tests',
      version: '0',
      tls: {
        certificate: identity.certificate,
        privateKey: identity.privateKey.expose((bytes) => Buffer.from(bytes).toString()),
      },
      mapError: () => null,
    })
    const made = Promise.withResolvers<FakeControlPlane>()
    server.addHook('preHandler', async (request, reply) => {
      const fake = await made.promise
      fake.#meet(request)
      if (request.url.endsWith('dryRun=true')) return reply.serializer(JSON.stringify).send(fake.rehearsal)
    })
    addFakeRoutes(server, made.promise)
    await server.listen({ host: '127.0.0.1', port: 0 })
    const fake = new FakeControlPlane(server, authority.certificate)
    made.resolve(fake)
    return fake
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.close()
  }

  /** The calls that changed something: all but GET. */
  get changes(): RecordedCall[] {
    return this.calls.filter(({ call }) => !call.startsWith('GET '))
  }

  startTask(type: string, name: string): Task {
    const id = `task-${this.tasks.size + 1}`
    const key = type === 'vm.encrypt' ? { provider: 'kms', keyId: 'kek-1' } : null
    const step = type === 'vm.encrypt' ? 'encrypting disk 0' : `at work (${type})`
    const target = { kind: 'vm', id: `id-of-${name.replace(/^id-of-/, '')}`, name } as const
    const task = cannedTask(id, { type, target, step, key })
    this.tasks.set(id, task)
    return task
  }

  /** The task as it is now; then it ends, unless its script says otherwise. */
  askFor(id: string): Task {
    const task = this.find(id)
    const ending = this.endings.get(task.type) ?? { state: 'success' }
    if (task.state === 'running' && ending !== 'never' && task.step !== waitingStep) this.endTask(id, ending)
    return task
  }

  endTask(id: string, { state, error }: Ending): Task {
    const end = { state, error: error ?? null, progressPercent: 100, endedAt: cannedTime }
    const before = this.find(id)
    const task = { ...before, ...end, step: state === 'success' ? 'done' : before.step }
    this.tasks.set(id, task)
    return task
  }

  /** An import that has been announced. */
  startImport(name: string): Task {
    const task = { ...this.startTask('vm.import-disk', name), step: waitingStep }
    this.tasks.set(task.id, task)
    return task
  }

  find(id: string): Task {
    const task = this.tasks.get(id)
    if (task === undefined) throw new RestError(404, 'not-found', `there is no task ${id}`)
    return task
  }

  async takeContent(id: string, body: Readable): Promise<Task> {
    if (this.contentManner === 'refuse') {
      this.endTask(id, { state: 'error', error: { code: 'backing-file', message: 'the image has a backing file' } })
      throw new RestError(422, 'backing-file', 'the image has a backing file')
    }
    const hash = createHash('sha256')
    for await (const piece of body) {
      if (this.contentManner === 'break') {
        this.endTask(id, { state: 'error', error: { code: 'no-space', message: 'the datastore is full' } })
        this.#server.server.closeAllConnections()
      }
      hash.update(piece)
    }
    this.contents.push(hash.digest('hex'))
    this.tasks.set(id, { ...this.find(id), step: 'reading back' })
    return this.find(id)
  }

  emit(event: Event): void {
    this.events.push(event)
    for (const listener of this.#listeners) listener(event)
  }

  listen(listener: (event: Event) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Resolves when somebody reads the stream of events. */
  async listened(): Promise<void> {
    while (this.#listeners.size === 0) await once(this.#server.server, 'request')
  }

  #meet(request: {
    method: string
    url: string
    body: unknown
    headers: { authorization?: string | undefined }
  }): void {
    const call = `${request.method} ${request.url}`
    this.calls.push({
      call,
      body: /\/(content|client-key|passphrase|backup|secret)$|-restores/.test(call) ? undefined : request.body,
    })
    const token = request.headers.authorization?.replace(/^Bearer /, '')
    if (!publicCall.test(call) && (token === undefined || !this.tokens.has(token))) {
      throw new RestError(401, 'not-logged-in', 'you are not logged in')
    }
    const refusal = this.refusals.get(call.split('?')[0] ?? call)
    if (refusal !== undefined) throw refusal
  }
}
