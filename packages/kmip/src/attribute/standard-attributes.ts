import { boolean, dateTime, enumeration, type Item, integer, interval, openEnumeration, text } from '@cryptvisor/ttlv'
import {
  CertificateType,
  CryptographicAlgorithm,
  DigitalSignatureAlgorithm,
  ObjectType,
  State,
} from '../enumeration.ts'
import { Tag } from '../tag.ts'
import { v1_0, v1_1, v1_2, v1_3, v1_4 } from '../version.ts'
import { alternativeName } from './alternative-name.ts'
import { applicationSpecificInformation } from './application-specific-information.ts'
import type { AttributeDeclaration } from './attribute-declaration.ts'
import {
  certificateIdentifier,
  certificateIssuer,
  certificateSubject,
  x509CertificateIdentifier,
  x509CertificateIssuer,
  x509CertificateSubject,
} from './certificate.ts'
import { cryptographicDomainParameters } from './cryptographic-domain-parameters.ts'
import { cryptographicParameters } from './cryptographic-parameters.ts'
import { digest } from './digest.ts'
import { keyValueLocation } from './key-value-location.ts'
import { link } from './link.ts'
import { name } from './name.ts'
import { allObjects, asymmetricKeys, certificates, cryptographicObjects, keys } from './object-types.ts'
import { revocationReason } from './revocation-reason.ts'
import { rngParameters } from './rng-parameters.ts'
import { usageLimits } from './usage-limits.ts'

const withTemplates = (types: readonly ObjectType[]): readonly ObjectType[] => [...types, 'Template']
const withOpaque = (types: readonly ObjectType[]): readonly ObjectType[] => [...types, 'OpaqueObject']

type Rules = Partial<Omit<AttributeDeclaration, 'tag' | 'value'>>

/** Set by the server and left alone by clients, unless `rules` say otherwise. */
function serverSet<Value>(tag: number, value: (tag: number) => Item<Value>, rules: Rules): AttributeDeclaration<Value> {
  return {
    tag,
    value,
    since: v1_0,
    alwaysHasValue: false,
    initiallySetBy: 'server',
    isModifiableByClient: false,
    isDeletableByClient: false,
    isMultiple: false,
    objectTypes: allObjects,
    ...rules,
  }
}

/** Set, changed and deleted by clients, unless `rules` say otherwise. */
function clientSet<Value>(tag: number, value: (tag: number) => Item<Value>, rules: Rules): AttributeDeclaration<Value> {
  return serverSet(tag, value, {
    initiallySetBy: 'client-or-server',
    isModifiableByClient: true,
    isDeletableByClient: true,
    ...rules,
  })
}

/** Set when the object is made, by either side, and left alone by clients from then on, unless `rules` say otherwise. */
function setOnce<Value>(tag: number, value: (tag: number) => Item<Value>, rules: Rules): AttributeDeclaration<Value> {
  return serverSet(tag, value, { initiallySetBy: 'client-or-server', ...rules })
}

/**
 * KMIP 1.4, section 3: the standard attributes by their names, in the standard's order, with the rules of their tables.
 * Custom attributes (3.39) are not among them.
 */
export const standardAttributes = {
  'Unique Identifier': serverSet(Tag.UniqueIdentifier, text, { alwaysHasValue: true }),
  Name: clientSet(Tag.Name, name, { initiallySetBy: 'client', isMultiple: true }),
  'Object Type': serverSet(Tag.ObjectType, (tag) => enumeration(tag, ObjectType), { alwaysHasValue: true }),
  'Cryptographic Algorithm': setOnce(
    Tag.CryptographicAlgorithm,
    (tag) => openEnumeration(tag, CryptographicAlgorithm),
    { alwaysHasValue: true, objectTypes: withTemplates([...keys, ...certificates]) },
  ),
  'Cryptographic Length': setOnce(Tag.CryptographicLength, integer, {
    alwaysHasValue: true,
    objectTypes: withTemplates([...keys, ...certificates]),
  }),
  'Cryptographic Parameters': clientSet(Tag.CryptographicParameters, cryptographicParameters, {
    initiallySetBy: 'client',
    isMultiple: true,
    objectTypes: withTemplates([...keys, ...certificates]),
  }),
  'Cryptographic Domain Parameters': setOnce(Tag.CryptographicDomainParameters, cryptographicDomainParameters, {
    initiallySetBy: 'client',
    objectTypes: withTemplates(asymmetricKeys),
  }),
  'Certificate Type': serverSet(Tag.CertificateType, (tag) => openEnumeration(tag, CertificateType), {
    alwaysHasValue: true,
    objectTypes: certificates,
  }),
  'Certificate Length': serverSet(Tag.CertificateLength, integer, {
    since: v1_1,
    alwaysHasValue: true,
    objectTypes: certificates,
  }),
  'X.509 Certificate Identifier': serverSet(Tag.X_509CertificateIdentifier, x509CertificateIdentifier, {
    since: v1_1,
    alwaysHasValue: true,
    objectTypes: certificates,
  }),
  'X.509 Certificate Subject': serverSet(Tag.X_509CertificateSubject, x509CertificateSubject, {
    since: v1_1,
    alwaysHasValue: true,
    objectTypes: certificates,
  }),
  'X.509 Certificate Issuer': serverSet(Tag.X_509CertificateIssuer, x509CertificateIssuer, {
    since: v1_1,
    alwaysHasValue: true,
    objectTypes: certificates,
  }),
  'Certificate Identifier': serverSet(Tag.CertificateIdentifier, certificateIdentifier, {
    until: v1_4,
    objectTypes: certificates,
  }),
  'Certificate Subject': serverSet(Tag.CertificateSubject, certificateSubject, {
    until: v1_4,
    objectTypes: certificates,
  }),
  'Certificate Issuer': serverSet(Tag.CertificateIssuer, certificateIssuer, {
    until: v1_4,
    objectTypes: certificates,
  }),
  'Digital Signature Algorithm': serverSet(
    Tag.DigitalSignatureAlgorithm,
    (tag) => openEnumeration(tag, DigitalSignatureAlgorithm),
    { since: v1_1, alwaysHasValue: true, isMultiple: true, objectTypes: ['Certificate', 'PGPKey'] },
  ),
  Digest: serverSet(Tag.Digest, digest, {
    alwaysHasValue: true,
    isMultiple: true,
    objectTypes: withOpaque(cryptographicObjects),
  }),
  'Operation Policy Name': setOnce(Tag.OperationPolicyName, text, { until: v1_4 }),
  'Cryptographic Usage Mask': setOnce(Tag.CryptographicUsageMask, integer, {
    alwaysHasValue: true,
    objectTypes: withTemplates(cryptographicObjects),
  }),
  'Lease Time': serverSet(Tag.LeaseTime, interval, { objectTypes: cryptographicObjects }),
  'Usage Limits': clientSet(Tag.UsageLimits, usageLimits, { objectTypes: withTemplates(keys) }),
  State: serverSet(Tag.State, (tag) => enumeration(tag, State), {
    alwaysHasValue: true,
    objectTypes: cryptographicObjects,
  }),
  'Initial Date': serverSet(Tag.InitialDate, dateTime, { alwaysHasValue: true }),
  'Activation Date': setOnce(Tag.ActivationDate, dateTime, {
    isModifiableByClient: true,
    objectTypes: withTemplates(cryptographicObjects),
  }),
  'Process Start Date': setOnce(Tag.ProcessStartDate, dateTime, {
    isModifiableByClient: true,
    objectTypes: ['SymmetricKey', 'SplitKey', 'Template'],
  }),
  'Protect Stop Date': setOnce(Tag.ProtectStopDate, dateTime, {
    isModifiableByClient: true,
    objectTypes: ['SymmetricKey', 'SplitKey', 'Template'],
  }),
  'Deactivation Date': setOnce(Tag.DeactivationDate, dateTime, {
    isModifiableByClient: true,
    objectTypes: withTemplates(cryptographicObjects),
  }),
  'Destroy Date': serverSet(Tag.DestroyDate, dateTime, { objectTypes: withOpaque(cryptographicObjects) }),
  'Compromise Occurrence Date': serverSet(Tag.CompromiseOccurrenceDate, dateTime, {
    objectTypes: withOpaque(cryptographicObjects),
  }),
  'Compromise Date': serverSet(Tag.CompromiseDate, dateTime, { objectTypes: withOpaque(cryptographicObjects) }),
  'Revocation Reason': serverSet(Tag.RevocationReason, revocationReason, {
    objectTypes: withOpaque(cryptographicObjects),
  }),
  'Archive Date': serverSet(Tag.ArchiveDate, dateTime, {}),
  'Object Group': clientSet(Tag.ObjectGroup, text, { isMultiple: true }),
  Fresh: setOnce(Tag.Fresh, boolean, { since: v1_1 }),
  Link: clientSet(Tag.Link, link, { isMultiple: true }),
  'Application Specific Information': clientSet(Tag.ApplicationSpecificInformation, applicationSpecificInformation, {
    isMultiple: true,
  }),
  'Contact Information': clientSet(Tag.ContactInformation, text, {}),
  'Last Change Date': serverSet(Tag.LastChangeDate, dateTime, { alwaysHasValue: true }),
  'Alternative Name': clientSet(Tag.AlternativeName, alternativeName, {
    since: v1_2,
    initiallySetBy: 'client',
    isMultiple: true,
  }),
  'Key Value Present': serverSet(Tag.KeyValuePresent, boolean, {
    since: v1_2,
    objectTypes: ['SymmetricKey', 'PrivateKey', 'SplitKey', 'SecretData', 'PGPKey'],
  }),
  'Key Value Location': clientSet(Tag.KeyValueLocation, keyValueLocation, {
    since: v1_2,
    initiallySetBy: 'client',
    isMultiple: true,
    objectTypes: cryptographicObjects,
  }),
  'Original Creation Date': setOnce(Tag.OriginalCreationDate, dateTime, {
    since: v1_2,
    objectTypes: withOpaque(cryptographicObjects),
  }),
  'Random Number Generator': setOnce(Tag.RandomNumberGenerator, rngParameters, {
    since: v1_3,
    objectTypes: cryptographicObjects,
  }),
  'PKCS#12 Friendly Name': clientSet(Tag.PKCS_12FriendlyName, text, {
    since: v1_4,
    initiallySetBy: 'client',
    objectTypes: cryptographicObjects,
  }),
  Description: clientSet(Tag.Description, text, { since: v1_4, initiallySetBy: 'client' }),
  Comment: clientSet(Tag.Comment, text, { since: v1_4, initiallySetBy: 'client' }),
  Sensitive: setOnce(Tag.Sensitive, boolean, {
    since: v1_4,
    alwaysHasValue: true,
    isModifiableByClient: true,
  }),
  'Always Sensitive': serverSet(Tag.AlwaysSensitive, boolean, {
    since: v1_4,
    alwaysHasValue: true,
  }),
  Extractable: setOnce(Tag.Extractable, boolean, {
    since: v1_4,
    alwaysHasValue: true,
    isModifiableByClient: true,
  }),
  'Never Extractable': serverSet(Tag.NeverExtractable, boolean, {
    since: v1_4,
    alwaysHasValue: true,
  }),
} as const

/** The name of a standard attribute, as Attribute Name carries it in KMIP 1.x. */
export type StandardAttributeName = keyof typeof standardAttributes

/** The type of a standard attribute's value. */
export type StandardAttributeValue<Name extends StandardAttributeName> =
  (typeof standardAttributes)[Name] extends AttributeDeclaration<infer Value> ? Value : never

/** The declaration of a standard attribute; `null` for a custom attribute, and for a name that nobody defines. */
export function standardAttribute(name: string): AttributeDeclaration | null {
  // `hasOwn` has just found it.
  return Object.hasOwn(standardAttributes, name) ? standardAttributes[name as StandardAttributeName] : null
}
