import {
  type CapabilityInformation,
  operations,
  type QueryRequest,
  type QueryResponse,
  v1_3,
  v1_4,
} from '@cryptvisor/kmip'
import { compareVersions, isInVersion, type Version } from '@cryptvisor/ttlv'
import { storedObjectTypes } from '../object/stored-object.ts'
import { randomNumberGenerator } from '../random-number-generator.ts'
import type { Handler } from './operation-context.ts'

/** KMIP 1.4, 4.25: what this server can do, as far as the request's version has words for it. */
export const query: Handler<QueryRequest, QueryResponse> = async (request, context) => {
  const { version } = context
  const asked = new Set(request.queryFunction)
  const is1_3 = compareVersions(version, v1_3) >= 0
  return {
    operation: asked.has('QueryOperations') ? operationsIn(version) : [],
    objectType: asked.has('QueryObjects') ? storedObjectTypes : [],
    ...(asked.has('QueryServerInformation')
      ? { vendorIdentification: context.message.settings.vendorIdentification }
      : {}),
    applicationNamespace: [],
    extensionInformation: [],
    attestationType: [],
    rngParameters: is1_3 && asked.has('QueryRNGs') ? [randomNumberGenerator] : [],
    profileInformation: [],
    validationInformation: [],
    capabilityInformation: is1_3 && asked.has('QueryCapabilities') ? [capabilityIn(version)] : [],
    clientRegistrationMethod: is1_3 && asked.has('QueryClientRegistrationMethods') ? ['ServerPreGenerated'] : [],
  }
}

function operationsIn(version: Version): QueryResponse['operation'] {
  return Object.entries(operations)
    .filter(([, declaration]) => isInVersion(declaration, version))
    .map(([name]) => name as keyof typeof operations) // The keys of the table.
}

function capabilityIn(version: Version): CapabilityInformation {
  return {
    streamingCapability: false,
    asynchronousCapability: false,
    attestationCapability: false,
    ...(compareVersions(version, v1_4) >= 0 ? { batchUndoCapability: true, batchContinueCapability: true } : {}),
    destroyAction: 'KeyMaterialShredded',
    shreddingAlgorithm: 'Cryptographic',
    rngMode: 'SharedInstantiation',
  }
}
