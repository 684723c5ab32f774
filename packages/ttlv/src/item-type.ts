/** KMIP 1.4, 9.1.1.2: the types that an item can have. Date-Time Extended exists since KMIP 2.0. */
export const ItemType = {
  Structure: 1,
  Integer: 2,
  LongInteger: 3,
  BigInteger: 4,
  Enumeration: 5,
  Boolean: 6,
  TextString: 7,
  ByteString: 8,
  DateTime: 9,
  Interval: 10,
  DateTimeExtended: 11,
} as const
export type ItemType = keyof typeof ItemType

const names = new Map<number, ItemType>(
  // The keys of a literal are what its type says.
  (Object.keys(ItemType) as ItemType[]).map((name) => [ItemType[name], name]),
)

/** The name of a type by its number; `null` for a number that means nothing. */
export function itemTypeName(type: number): ItemType | null {
  return names.get(type) ?? null
}
