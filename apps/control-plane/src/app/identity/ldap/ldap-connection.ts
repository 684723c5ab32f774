import type { Socket } from 'node:net'
import { BindRequest, type Filter, PagedResultsControl, PresenceFilter, SearchRequest, UnbindRequest } from 'ldapts'
import { LdapFailure } from './ldap-failure.ts'
import { decodeResponse, type LdapEntry, type LdapResponse, type LdapResult } from './ldap-response.ts'
import type { LdapServer } from './ldap-server.ts'
import { openLdapSocket } from './ldap-socket.ts'
import { MessageReader } from './message-reader.ts'

/** Until a directory has answered one question, or said a part of it. */
const answerMsMax = 5000

/** A connection lasts no longer, whatever it is used for. */
const connectionMsMax = 60_000

/** Entries in one page: Active Directory gives no more than 1000. */
const pageSize = 500

/** How many entries one question may have as its answer. */
const entriesMaxAtAll = 20_000

/** A question to a directory. */
export interface LdapSearch {
  readonly base: string
  /** The entry `base` itself, or everything below it, too. */
  readonly scope: 'base' | 'sub'
  readonly filter: Filter
  readonly attributes: readonly string[]
  /** More entries are not read; left out: all are, in pages. */
  readonly entriesMax?: number
}

/** Result codes of RFC 4511, 4.1.9, that say that somebody is not let in, and nothing about the directory. */
const refusals: ReadonlySet<number> = new Set([16, 19, 32, 34, 48, 49, 50, 53])
const sizeLimitExceeded = 4
/** `busy`, `unavailable`, and the administrator's limits: another server may do better. */
const notNow: ReadonlySet<number> = new Set([3, 11, 51, 52])
const words: Readonly<Record<number, string>> = {
  3: 'it takes too long (timeLimitExceeded)',
  4: 'it does not give us all that there is (sizeLimitExceeded): raise the limit of the bind DN',
  8: 'it wants to be asked in another way (strongAuthRequired)',
  10: 'it refers to another directory, which is not followed: give that one’s address and base',
  11: 'its limits are too low for this (adminLimitExceeded)',
  13: 'it wants TLS (confidentialityRequired)',
  32: 'there is nothing there, or nothing that we may see (noSuchObject)',
  50: 'we may not ask that (insufficientAccessRights)',
  51: 'it is busy',
  52: 'it is unavailable',
}

/** What is waited for: the answer to one question at a time. */
interface Waiting {
  readonly messageId: number
  /** Takes a part of the answer; the result ends it. */
  readonly onBody: (body: LdapResponse['body']) => void
  readonly fail: (error: Error) => void
}

/**
 * One connection to one server of a directory, and one question at a time. It is never made again: what was begun with TLS
 * stays so. Answers are read by our own strict decoder, since a directory is trusted with what it says and not with us.
 */
export class LdapConnection implements AsyncDisposable {
  readonly server: LdapServer
  readonly #socket: Socket
  readonly #deadline: NodeJS.Timeout
  #waiting: Waiting | null = null
  #lastId = 1

  private constructor(server: LdapServer, socket: Socket) {
    this.server = server
    this.#socket = socket
    this.#deadline = setTimeout(() => socket.destroy(), connectionMsMax)
    this.#deadline.unref()
    new MessageReader(
      socket,
      (message) => this.#onMessage(message),
      (error) =>
        this.#waiting?.fail(new LdapFailure('wrong', `${server.url}: its answer is no LDAP`, { cause: error })),
    )
    socket.on('error', () => {})
    socket.on('close', () => this.#waiting?.fail(this.#broken()))
  }

  /** Throws `LdapFailure`. */
  static async open(server: LdapServer, ca: string | undefined): Promise<LdapConnection> {
    return new LdapConnection(server, await openLdapSocket(server, ca))
  }

  /**
   * Whether the directory takes `password` for `dn`. Neither may be empty: such a bind is nobody's, and succeeds (RFC 4513,
   * 5.1.2). Gives what kind of no it was, where the directory says that. Throws `LdapFailure`.
   */
  async bind(dn: string, password: string): Promise<{ readonly isIn: boolean; readonly why: string | null }> {
    if (dn === '' || password === '') throw new Error('a bind without a name or a password proves nothing')
    const messageId = ++this.#lastId
    const { code, diagnostic } = await this.#ask(
      messageId,
      'bind',
      new BindRequest({ messageId, dn, password }).write(),
    )
    if (code === 0) return { isIn: true, why: null }
    if (!refusals.has(code)) throw this.#failureOf(code)
    return { isIn: false, why: whyOf(diagnostic) }
  }

  /** What is found; referrals are not followed. Throws `LdapFailure`. */
  async search({ base, scope, filter, attributes, entriesMax }: LdapSearch): Promise<LdapEntry[]> {
    const entries: LdapEntry[] = []
    let cookie: Buffer | null = Buffer.alloc(0)
    while (cookie !== null) {
      const messageId = ++this.#lastId
      const request: SearchRequest = new SearchRequest({
        ...{ messageId, baseDN: base, scope, filter, attributes: [...attributes], derefAliases: 'never' },
        timeLimit: Math.ceil(answerMsMax / 1000),
        ...(entriesMax === undefined
          ? { controls: [new PagedResultsControl({ value: { size: pageSize, cookie } })] }
          : { sizeLimit: entriesMax }),
      })
      const result: LdapResult = await this.#ask(messageId, 'search', request.write(), (entry) => {
        if (entries.length >= (entriesMax ?? entriesMaxAtAll)) return false
        entries.push(entry)
        return true
      })
      if (result.code !== 0 && !(result.code === sizeLimitExceeded && entriesMax !== undefined)) {
        throw this.#failureOf(result.code)
      }
      cookie = entriesMax === undefined ? result.cookie : null
    }
    return entries
  }

  [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#deadline)
    if (!this.#socket.destroyed) this.#socket.end(new UnbindRequest({ messageId: ++this.#lastId }).write())
    // What was written goes out; nothing is waited for.
    this.#socket.destroySoon()
    return Promise.resolve()
  }

  /** Sends a question and waits for its result; `onEntry` says no to an entry too many. Throws `LdapFailure`. */
  async #ask(
    messageId: number,
    kind: LdapResult['kind'],
    request: Buffer,
    onEntry: (entry: LdapEntry) => boolean = () => false,
  ): Promise<LdapResult> {
    if (this.#waiting !== null) throw new Error('a connection is asked one thing at a time')
    if (this.#socket.destroyed) throw this.#broken()
    const { promise, resolve, reject } = Promise.withResolvers<LdapResult>()
    const fail = (error: Error) => {
      reject(error)
      this.#socket.destroy()
    }
    const late = () => fail(new LdapFailure('unreachable', `${this.server.url}: no answer in time`))
    const timer = setTimeout(late, answerMsMax)
    const onBody = (body: LdapResponse['body']) => {
      timer.refresh()
      if (body.kind === kind) resolve(body)
      else if (body.kind === 'entry' && onEntry(body.entry)) return
      else if (body.kind !== 'other')
        fail(new LdapFailure('wrong', `${this.server.url}: it answers what was not asked`))
    }
    this.#waiting = { messageId, onBody, fail }
    this.#socket.write(request)
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      this.#waiting = null
    }
  }

  #onMessage(message: Buffer): void {
    const { messageId, body } = decodeResponse(message)
    // Message 0 is a notice of disconnection (RFC 4511, 4.4.1), and nothing else is sent unasked.
    if (messageId !== this.#waiting?.messageId) this.#socket.destroy()
    else this.#waiting.onBody(body)
  }

  #broken(): LdapFailure {
    return new LdapFailure('unreachable', `${this.server.url}: the connection broke`)
  }

  #failureOf(code: number): LdapFailure {
    const text = words[code] ?? `it answers with result ${code}`
    return new LdapFailure(notNow.has(code) ? 'unreachable' : 'wrong', `${this.server.url}: ${text}`)
  }
}

/** Whether an entry is there, and may be seen. Throws `LdapFailure`. */
export async function hasEntry(connection: LdapConnection, base: string): Promise<boolean> {
  const filter = new PresenceFilter({ attribute: 'objectClass' })
  const found = await connection.search({ base, scope: 'base', filter, attributes: ['objectClass'], entriesMax: 1 })
  return found.length > 0
}

/** Active Directory's reasons, which stand in its text as `data 533`. Nothing else of the text is looked at. */
const activeDirectoryReasons: Readonly<Record<string, string>> = {
  '525': 'there is no such user',
  '52e': 'the password is wrong',
  '530': 'it is not the time for that user to log in',
  '531': 'that user may not log in from here',
  '532': 'the password has expired',
  '533': 'the account is disabled',
  '701': 'the account has expired',
  '773': 'the password has to be changed first',
  '775': 'the account is locked',
}

function whyOf(diagnostic: string): string | null {
  const data = /\bdata ([0-9a-f]{3}),/.exec(diagnostic)?.[1]
  return data === undefined ? null : (activeDirectoryReasons[data] ?? null)
}
