import { type Attribute, KmipError, type TemplateAttribute } from '@cryptvisor/kmip'
import type { Secret } from '@cryptvisor/secret'
import { indexKeyOf } from '../object/index-keys.ts'
import type { StoredObject } from '../object/stored-object.ts'
import type { OperationContext } from './operation-context.ts'

/** The attributes for an object to be made. Throws Item Not Found for the name of a Template object: none is kept. */
export function attributesOf(template: TemplateAttribute): readonly Attribute[] {
  if (template.name.length > 0) {
    throw new KmipError('ItemNotFound', 'Template-Attribute, Name: there is no such Template; give the attributes')
  }
  return template.attribute
}

/**
 * KMIP 1.4, 3.2: a Name is unique among the client's objects. Throws `reason` when another object that is not destroyed
 * has one of `attributes` that are names.
 */
export async function checkNames(
  attributes: readonly Attribute[],
  id: string,
  reason: 'InvalidField' | 'IllegalOperation',
  context: OperationContext,
): Promise<void> {
  for (const each of attributes) {
    if (each.attributeName !== 'Name' || isNoName(each.attributeValue)) continue
    const key = indexKeyOf(context.owner, each)
    for await (const other of context.transaction.locate(context.owner, key === null ? [] : [key], 'oldest-first')) {
      if (other.id !== id) throw new KmipError(reason, 'Name: another object of yours has it; choose another')
    }
  }
}

/** What PyKMIP's client, and so OpenStack, names each object that it registers without being given a name. */
const typeNames: ReadonlySet<string> = new Set(['Symmetric Key', 'Secret Data', 'Opaque Object'])

/** Whether a Name only repeats the type, so that it names nothing that could be unique. */
function isNoName(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'nameValue' in value && typeNames.has(String(value.nameValue))
}

/** Adds a new object and makes it the ID Placeholder. */
export async function insertObject(object: StoredObject, value: Secret, context: OperationContext): Promise<void> {
  context.objectId = object.id
  await checkNames(object.attributes, object.id, 'InvalidField', context)
  await context.transaction.insert(object, value)
  context.message.placeholder = object.id
}
