import type { DeclaredOperation, RequestOf, ResponseOf } from '@cryptvisor/kmip'
import { activate } from './activate.ts'
import { addAttribute } from './add-attribute.ts'
import { check } from './check.ts'
import { create } from './create.ts'
import { deleteAttribute } from './delete-attribute.ts'
import { destroy } from './destroy.ts'
import { discoverVersions } from './discover-versions.ts'
import { get } from './get.ts'
import { getAttributeList } from './get-attribute-list.ts'
import { getAttributes } from './get-attributes.ts'
import { locate } from './locate.ts'
import { modifyAttribute } from './modify-attribute.ts'
import type { Handler } from './operation-context.ts'
import { query } from './query.ts'
import { register } from './register.ts'
import { revoke } from './revoke.ts'

/** Who carries out which operation. A declared operation without a handler does not compile. */
export const handlers: { readonly [Name in DeclaredOperation]: Handler<RequestOf<Name>, ResponseOf<Name>> } = {
  Create: create,
  Register: register,
  Locate: locate,
  Check: check,
  Get: get,
  GetAttributes: getAttributes,
  GetAttributeList: getAttributeList,
  AddAttribute: addAttribute,
  ModifyAttribute: modifyAttribute,
  DeleteAttribute: deleteAttribute,
  Activate: activate,
  Revoke: revoke,
  Destroy: destroy,
  Query: query,
  DiscoverVersions: discoverVersions,
}
