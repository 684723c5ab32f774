import { argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

const argon2Async = promisify(argon2)

/** OWASP's Password Storage Cheat Sheet: Argon2id with 19 MiB, 2 passes, 1 lane (RFC 9106). */
const cost = { memory: 19_456, passes: 2, parallelism: 1 } as const
const saltSizeBytes = 16
const tagSizeBytes = 32

/** No stored hash may ask for more than this; it is data from a file. */
const memoryKibMax = 1_048_576
const passesMax = 16
const parallelismMax = 16

/**
 * Hashes a password for storage, as a PHC string: `$argon2id$v=19$m=…,t=…,p=…$salt$hash`. It runs in the thread pool.
 * The password is taken in Unicode's normal form C, so that it can be typed on any keyboard.
 */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(saltSizeBytes)
  const tag = await derive(password, salt, cost, tagSizeBytes)
  const { memory, passes, parallelism } = cost
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${unpadded(salt)}$${unpadded(tag)}`
}

/** Whether `password` is the one that `stored` was made from. Throws when `stored` is not such a PHC string. */
export async function verifyPassword(password: string, stored: string): Promise<boolean> {
  const { salt, tag, ...parameters } = parse(stored)
  return timingSafeEqual(await derive(password, salt, parameters, tag.length), tag)
}

type Cost = Readonly<{ memory: number; passes: number; parallelism: number }>

async function derive(password: string, nonce: Buffer, parameters: Cost, tagLength: number): Promise<Buffer> {
  const message = Buffer.from(password.normalize('NFC'), 'utf8')
  try {
    return await argon2Async('argon2id', { message, nonce, tagLength, ...parameters })
  } finally {
    message.fill(0)
  }
}

function parse(stored: string): Cost & { salt: Buffer; tag: Buffer } {
  const match = /^\$argon2id\$v=19\$m=(\d{1,8}),t=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(
    stored,
  )
  const [memory, passes, parallelism] = [match?.[1], match?.[2], match?.[3]].map(Number)
  const [salt, tag] = [match?.[4], match?.[5]].map((text) => Buffer.from(text ?? '', 'base64'))
  if (
    !within(memory, 8, memoryKibMax) ||
    !within(passes, 1, passesMax) ||
    !within(parallelism, 1, parallelismMax) ||
    salt === undefined ||
    salt.length < 8 ||
    tag === undefined ||
    tag.length < 16
  ) {
    throw new Error('the stored password hash is not Argon2id in PHC form')
  }
  return { memory, passes, parallelism, salt, tag }
}

function within(value: number | undefined, min: number, max: number): value is number {
  return value !== undefined && value >= min && value <= max
}

const unpadded = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '')
