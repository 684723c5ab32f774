import { createHmac } from 'node:crypto'
import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { WebhookConfig } from '@cryptvisor/control-plane-api'
import type { Secret } from '@cryptvisor/secret'
import type { Clock } from '../clock.ts'
import { safeLookup } from './address-check.ts'
import { DeliveryError, deliveryTimeoutMs, type Item, networkFailure, type Sender } from './sender.ts'

/**
 * One POST for each item, signed as Standard Webhooks says: HMAC-SHA-256 over ID, time and body. Redirects are not
 * followed, and of the answer only its status counts.
 */
export class WebhookSender implements Sender {
  readonly batchMax = 1
  readonly #config: WebhookConfig
  readonly #clock: Clock

  constructor(config: WebhookConfig, clock: Clock) {
    this.#config = config
    this.#clock = clock
  }

  async send([item]: readonly Item[], secret: Secret | null, signal: AbortSignal): Promise<void> {
    if (item === undefined) return
    if (secret === null) throw new DeliveryError('the target has no secret to sign with', { permanent: true })
    const { id, source, body } = item
    const text = JSON.stringify({ id, [source === 'events' ? 'event' : 'record']: body })
    const time = Math.floor(this.#clock() / 1000)
    const signature = secret.expose((key) => createHmac('sha256', key).update(`${id}.${time}.${text}`).digest('base64'))
    const status = await this.#post(text, signal, {
      'webhook-id': id,
      'webhook-timestamp': String(time),
      'webhook-signature': `v1,${signature}`,
    })
    if (status >= 200 && status < 300) return
    // RFC 9110, 15.5.9, and RFC 6585, 4: told to come again. Other 4xx say that the request itself is wrong.
    const permanent = status >= 300 && status < 500 && status !== 408 && status !== 429
    throw new DeliveryError(`${this.#config.url} answered with status ${status}`, { permanent })
  }

  async #post(text: string, signal: AbortSignal, headers: Readonly<Record<string, string>>): Promise<number> {
    const { url, ca } = this.#config
    const body = Buffer.from(text)
    const { promise, resolve, reject } = Promise.withResolvers<number>()
    const call = url.startsWith('https:') ? requestHttps : requestHttp
    const sent = call(url, {
      method: 'POST',
      agent: false,
      lookup: safeLookup,
      signal: AbortSignal.any([signal, AbortSignal.timeout(deliveryTimeoutMs)]),
      headers: { 'content-type': 'application/json', 'content-length': body.length, ...headers },
      ...(ca === undefined ? {} : { ca }),
    })
    sent.on('response', (answer) => {
      resolve(answer.statusCode ?? 0)
      // What it says is nobody's business here.
      answer.destroy()
    })
    sent.on('error', reject)
    sent.end(body)
    try {
      return await promise
    } catch (error) {
      throw networkFailure(url, error)
    } finally {
      sent.destroy()
    }
  }
}
