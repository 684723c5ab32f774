import { Secret } from '@cryptvisor/secret'
import { Set as Asn1Set, BmpString, Constructed, fromBER, ObjectIdentifier, OctetString, Sequence } from 'asn1js'
import { PkiError } from '../pki-error.ts'
import { oid } from './object-identifiers.ts'

/** A secret with its name. */
export interface NamedSecret {
  readonly name: string
  readonly secret: Secret
}

/** How many secrets a file holds at most. */
export const secretsMax = 1000

/**
 * SafeContents (RFC 7292, 4.2) of secret bags (4.2.5): each an octet string of the type `data`, with its name as
 * `friendlyName` (RFC 2985, 5.5.1).
 */
export function encodeBags(entries: readonly NamedSecret[]): Secret {
  const wiped: Uint8Array[] = []
  const bags = entries.map(({ name, secret }) => {
    const bytes = secret.expose((lent) => Uint8Array.from(lent))
    wiped.push(bytes)
    return new Sequence({
      value: [
        new ObjectIdentifier({ value: oid.secretBag }),
        explicit(
          new Sequence({
            value: [new ObjectIdentifier({ value: oid.data }), explicit(new OctetString({ valueHex: bytes }))],
          }),
        ),
        new Asn1Set({
          value: [
            new Sequence({
              value: [
                new ObjectIdentifier({ value: oid.friendlyName }),
                new Asn1Set({ value: [new BmpString({ value: name })] }),
              ],
            }),
          ],
        }),
      ],
    })
  })
  try {
    return Secret.from(new Uint8Array(new Sequence({ value: bags }).toBER()))
  } finally {
    for (const bytes of wiped) bytes.fill(0)
  }
}

/** Reads what `encodeBags` made; bags of other kinds are errors. Throws `bad-pkcs12`; the secrets are the caller's. */
export function decodeBags(contents: Secret): NamedSecret[] {
  return contents.expose((bytes) => {
    const { result, offset } = fromBER(bytes)
    const bags = childrenOf(result)
    if (offset === -1 || bags.length > secretsMax) throw damaged()
    const entries: NamedSecret[] = []
    try {
      for (const bag of bags) entries.push(entryOf(bag))
    } catch (error) {
      for (const { secret } of entries) secret[Symbol.dispose]()
      throw error
    }
    return entries
  })
}

function entryOf(bag: unknown): NamedSecret {
  const [type, value, attributes] = childrenOf(bag)
  const [secretType, secretValue] = childrenOf(childrenOf(value)[0])
  const [content] = childrenOf(secretValue)
  if (textOf(type) !== oid.secretBag || textOf(secretType) !== oid.data || !(content instanceof OctetString)) {
    throw new PkiError('bad-pkcs12', 'the file holds something else than secrets')
  }
  const named = childrenOf(attributes).find((attribute) => textOf(childrenOf(attribute)[0]) === oid.friendlyName)
  const [name] = childrenOf(childrenOf(named)[1])
  if (!(name instanceof BmpString)) throw damaged()
  return { name: name.getValue(), secret: Secret.from(new Uint8Array(content.getValue())) }
}

const explicit = (value: Sequence | OctetString) =>
  new Constructed({ idBlock: { tagClass: 3, tagNumber: 0 }, value: [value] })

function childrenOf(value: unknown): readonly unknown[] {
  return value instanceof Constructed ? value.valueBlock.value : []
}

function textOf(value: unknown): string | null {
  return value instanceof ObjectIdentifier ? value.getValue() : null
}

function damaged(): PkiError {
  return new PkiError('bad-pkcs12', 'the file is damaged: it opens, and what is in it cannot be read')
}
