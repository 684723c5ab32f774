/*
 * KMIP 1.4, 9.1.3.2 and 9.1.3.3, and the same of 2.0 and 2.1: the enumerations and masks with the names that the XML
 * encoding gives their values. Where a value has two names, the first is the newer document's.
 */

export const AdjustmentType = {
  Increment: 1,
  Decrement: 2,
  Negate: 3,
} as const
export type AdjustmentType = keyof typeof AdjustmentType

export const AlternativeNameType = {
  UninterpretedTextString: 1,
  URI: 2,
  ObjectSerialNumber: 3,
  EmailAddress: 4,
  DNSName: 5,
  X_500DistinguishedName: 6,
  IPAddress: 7,
} as const
export type AlternativeNameType = keyof typeof AlternativeNameType

export const AsynchronousIndicator = {
  Mandatory: 1,
  Optional: 2,
  Prohibited: 3,
} as const
export type AsynchronousIndicator = keyof typeof AsynchronousIndicator

export const AttestationType = {
  TPMQuote: 1,
  TCGIntegrityReport: 2,
  SAMLAssertion: 3,
} as const
export type AttestationType = keyof typeof AttestationType

export const BatchErrorContinuationOption = {
  Continue: 1,
  Stop: 2,
  Undo: 3,
} as const
export type BatchErrorContinuationOption = keyof typeof BatchErrorContinuationOption

export const BlockCipherMode = {
  CBC: 1,
  ECB: 2,
  PCBC: 3,
  CFB: 4,
  OFB: 5,
  CTR: 6,
  CMAC: 7,
  CCM: 8,
  GCM: 9,
  CBC_MAC: 10,
  XTS: 11,
  AESKeyWrapPadding: 12,
  NISTKeyWrap: 13,
  X9_102AESKW: 14,
  X9_102TDKW: 15,
  X9_102AKW1: 0x10,
  X9_102AKW2: 0x11,
  AEAD: 0x12,
} as const
export type BlockCipherMode = keyof typeof BlockCipherMode

export const CancellationResult = {
  Canceled: 1,
  UnableToCancel: 2,
  Completed: 3,
  Failed: 4,
  Unavailable: 5,
} as const
export type CancellationResult = keyof typeof CancellationResult

export const CertificateRequestType = {
  CRMF: 1,
  PKCS_10: 2,
  PEM: 3,
  PGP: 4,
} as const
export type CertificateRequestType = keyof typeof CertificateRequestType

export const CertificateType = {
  X_509: 1,
  PGP: 2,
} as const
export type CertificateType = keyof typeof CertificateType

export const ClientRegistrationMethod = {
  Unspecified: 1,
  ServerPreGenerated: 2,
  ServerOnDemand: 3,
  ClientGenerated: 4,
  ClientRegistered: 5,
} as const
export type ClientRegistrationMethod = keyof typeof ClientRegistrationMethod

export const CredentialType = {
  UsernameAndPassword: 1,
  Device: 2,
  Attestation: 3,
  OneTimePassword: 4,
  HashedPassword: 5,
  Ticket: 6,
} as const
export type CredentialType = keyof typeof CredentialType

export const CryptographicAlgorithm = {
  DES: 1,
  DES3: 2,
  AES: 3,
  RSA: 4,
  DSA: 5,
  ECDSA: 6,
  HMAC_SHA1: 7,
  HMAC_SHA224: 8,
  HMAC_SHA256: 9,
  HMAC_SHA384: 10,
  HMAC_SHA512: 11,
  HMAC_MD5: 12,
  DH: 13,
  ECDH: 14,
  ECMQV: 15,
  Blowfish: 0x10,
  Camellia: 0x11,
  CAST5: 0x12,
  IDEA: 0x13,
  MARS: 0x14,
  RC2: 0x15,
  RC4: 0x16,
  RC5: 0x17,
  SKIPJACK: 0x18,
  Twofish: 0x19,
  EC: 0x1a,
  OneTimePad: 0x1b,
  ChaCha20: 0x1c,
  Poly1305: 0x1d,
  ChaCha20Poly1305: 0x1e,
  SHA3_224: 0x1f,
  SHA3_256: 0x20,
  SHA3_384: 0x21,
  SHA3_512: 0x22,
  HMAC_SHA3_224: 0x23,
  HMAC_SHA3_256: 0x24,
  HMAC_SHA3_384: 0x25,
  HMAC_SHA3_512: 0x26,
  SHAKE_128: 0x27,
  SHAKE_256: 0x28,
  ARIA: 0x29,
  SEED: 0x2a,
  SM2: 0x2b,
  SM3: 0x2c,
  SM4: 0x2d,
  GOSTR34_10_2012: 0x2e,
  GOSTR34_11_2012: 0x2f,
  GOSTR34_13_2015: 0x30,
  GOST28147_89: 0x31,
  XMSS: 0x32,
  SPHINCS_256: 0x33,
  McEliece: 0x34,
  McEliece_6960119: 0x35,
  McEliece_8192128: 0x36,
  Ed25519: 0x37,
  Ed448: 0x38,
} as const
export type CryptographicAlgorithm = keyof typeof CryptographicAlgorithm

export const DRBGAlgorithm = {
  Unspecified: 1,
  Dual_EC: 2,
  Hash: 3,
  HMAC: 4,
  CTR: 5,
} as const
export type DRBGAlgorithm = keyof typeof DRBGAlgorithm

export const DerivationMethod = {
  PBKDF2: 1,
  HASH: 2,
  HMAC: 3,
  ENCRYPT: 4,
  NIST800_108_C: 5,
  NIST800_108_F: 6,
  NIST800_108_DPI: 7,
  AsymmetricKey: 8,
  AWSSignatureVersion4: 9,
  HKDF: 10,
} as const
export type DerivationMethod = keyof typeof DerivationMethod

export const DestroyAction = {
  Unspecified: 1,
  KeyMaterialDeleted: 2,
  KeyMaterialShredded: 3,
  MetaDataDeleted: 4,
  MetaDataShredded: 5,
  Deleted: 6,
  Shredded: 7,
} as const
export type DestroyAction = keyof typeof DestroyAction

export const DigitalSignatureAlgorithm = {
  MD2WithRSAEncryptionPKCS_1V1_5: 1,
  MD2WithRSAEncryption: 1,
  MD5WithRSAEncryptionPKCS_1V1_5: 2,
  MD5WithRSAEncryption: 2,
  SHA_1WithRSAEncryptionPKCS_1V1_5: 3,
  SHA_1WithRSAEncryption: 3,
  SHA_224WithRSAEncryptionPKCS_1V1_5: 4,
  SHA_224WithRSAEncryption: 4,
  SHA_256WithRSAEncryptionPKCS_1V1_5: 5,
  SHA_256WithRSAEncryption: 5,
  SHA_384WithRSAEncryptionPKCS_1V1_5: 6,
  SHA_384WithRSAEncryption: 6,
  SHA_512WithRSAEncryptionPKCS_1V1_5: 7,
  SHA_512WithRSAEncryption: 7,
  RSASSA_PSSPKCS_1V2_1: 8,
  RSASSA_PSS: 8,
  DSAWithSHA_1: 9,
  DSAWithSHA224: 10,
  DSAWithSHA256: 11,
  ECDSAWithSHA_1: 12,
  ECDSAWithSHA224: 13,
  ECDSAWithSHA256: 14,
  ECDSAWithSHA384: 15,
  ECDSAWithSHA512: 0x10,
  SHA3_256WithRSAEncryption: 0x11,
  SHA3_384WithRSAEncryption: 0x12,
  SHA3_512WithRSAEncryption: 0x13,
} as const
export type DigitalSignatureAlgorithm = keyof typeof DigitalSignatureAlgorithm

export const EncodingOption = {
  NoEncoding: 1,
  TTLVEncoding: 2,
} as const
export type EncodingOption = keyof typeof EncodingOption

export const EndpointRole = {
  Client: 1,
  Server: 2,
} as const
export type EndpointRole = keyof typeof EndpointRole

export const FIPS186Variation = {
  Unspecified: 1,
  GPXOriginal: 2,
  GPXChangeNotice: 3,
  XOriginal: 4,
  XChangeNotice: 5,
  KOriginal: 6,
  KChangeNotice: 7,
} as const
export type FIPS186Variation = keyof typeof FIPS186Variation

export const HashingAlgorithm = {
  MD2: 1,
  MD4: 2,
  MD5: 3,
  SHA_1: 4,
  SHA_224: 5,
  SHA_256: 6,
  SHA_384: 7,
  SHA_512: 8,
  RIPEMD_160: 9,
  Tiger: 10,
  Whirlpool: 11,
  SHA_512_224: 12,
  SHA_512_256: 13,
  SHA_3_224: 14,
  SHA3_224: 14,
  SHA_3_256: 15,
  SHA3_256: 15,
  SHA_3_384: 0x10,
  SHA3_384: 0x10,
  SHA_3_512: 0x11,
  SHA3_512: 0x11,
} as const
export type HashingAlgorithm = keyof typeof HashingAlgorithm

export const InteropFunction = {
  Begin: 1,
  End: 2,
  Reset: 3,
} as const
export type InteropFunction = keyof typeof InteropFunction

export const KeyCompressionType = {
  ECPublicKeyTypeUncompressed: 1,
  ECPublicKeyTypeX9_62CompressedPrime: 2,
  ECPublicKeyTypeX9_62CompressedChar2: 3,
  ECPublicKeyTypeX9_62Hybrid: 4,
} as const
export type KeyCompressionType = keyof typeof KeyCompressionType

export const KeyFormatType = {
  Raw: 1,
  Opaque: 2,
  PKCS_1: 3,
  PKCS_8: 4,
  X_509: 5,
  ECPrivateKey: 6,
  TransparentSymmetricKey: 7,
  TransparentDSAPrivateKey: 8,
  TransparentDSAPublicKey: 9,
  TransparentRSAPrivateKey: 10,
  TransparentRSAPublicKey: 11,
  TransparentDHPrivateKey: 12,
  TransparentDHPublicKey: 13,
  TransparentECDSAPrivateKey: 14,
  TransparentECDSAPublicKey: 15,
  TransparentECDHPrivateKey: 0x10,
  TransparentECDHPublicKey: 0x11,
  TransparentECMQVPrivateKey: 0x12,
  TransparentECMQVPublicKey: 0x13,
  TransparentECPrivateKey: 0x14,
  TransparentECPublicKey: 0x15,
  PKCS_12: 0x16,
  PKCS_10: 0x17,
} as const
export type KeyFormatType = keyof typeof KeyFormatType

export const KeyRoleType = {
  BDK: 1,
  CVK: 2,
  DEK: 3,
  MKAC: 4,
  MKSMC: 5,
  MKSMI: 6,
  MKDAC: 7,
  MKDN: 8,
  MKCP: 9,
  MKOTH: 10,
  KEK: 11,
  MAC16609: 12,
  MAC97971: 13,
  MAC97972: 14,
  MAC97973: 15,
  MAC97974: 0x10,
  MAC97975: 0x11,
  ZPK: 0x12,
  PVKIBM: 0x13,
  PVKPVV: 0x14,
  PVKOTH: 0x15,
  DUKPT: 0x16,
  IV: 0x17,
  TRKBK: 0x18,
} as const
export type KeyRoleType = keyof typeof KeyRoleType

export const KeyValueLocationType = {
  UninterpretedTextString: 1,
  URI: 2,
} as const
export type KeyValueLocationType = keyof typeof KeyValueLocationType

export const KeyWrapType = {
  NotWrapped: 1,
  AsRegistered: 2,
} as const
export type KeyWrapType = keyof typeof KeyWrapType

export const LinkType = {
  CertificateLink: 0x101,
  PublicKeyLink: 0x102,
  PrivateKeyLink: 0x103,
  DerivationBaseObjectLink: 0x104,
  DerivedKeyLink: 0x105,
  ReplacementObjectLink: 0x106,
  ReplacedObjectLink: 0x107,
  ParentLink: 0x108,
  ChildLink: 0x109,
  PreviousLink: 0x10a,
  NextLink: 0x10b,
  PKCS_12CertificateLink: 0x10c,
  PKCS_12PasswordLink: 0x10d,
  WrappingKeyLink: 0x10e,
} as const
export type LinkType = keyof typeof LinkType

export const MaskGenerator = {
  MGF1: 1,
  MFG1: 1,
} as const
export type MaskGenerator = keyof typeof MaskGenerator

export const NISTKeyType = {
  PrivateSignatureKey: 1,
  PublicSignatureVerificationKey: 2,
  SymmetricAuthenticationKey: 3,
  PrivateAuthenticationKey: 4,
  PublicAuthenticationKey: 5,
  SymmetricDataEncryptionKey: 6,
  SymmetricKeyWrappingKey: 7,
  SymmetricRandomNumberGenerationKey: 8,
  SymmetricMasterKey: 9,
  PrivateKeyTransportKey: 10,
  PublicKeyTransportKey: 11,
  SymmetricKeyAgreementKey: 12,
  PrivateStaticKeyAgreementKey: 13,
  PublicStaticKeyAgreementKey: 14,
  PrivateEphemeralKeyAgreementKey: 15,
  PublicEphemeralKeyAgreementKey: 0x10,
  SymmetricAuthorizationKey: 0x11,
  PrivateAuthorizationKey: 0x12,
  PublicAuthorizationKey: 0x13,
} as const
export type NISTKeyType = keyof typeof NISTKeyType

export const NameType = {
  UninterpretedTextString: 1,
  URI: 2,
} as const
export type NameType = keyof typeof NameType

export const ObjectGroupMember = {
  GroupMemberFresh: 1,
  GroupMemberDefault: 2,
} as const
export type ObjectGroupMember = keyof typeof ObjectGroupMember

export const ObjectType = {
  Certificate: 1,
  SymmetricKey: 2,
  PublicKey: 3,
  PrivateKey: 4,
  SplitKey: 5,
  Template: 6,
  SecretData: 7,
  OpaqueObject: 8,
  PGPKey: 9,
  CertificateRequest: 10,
} as const
export type ObjectType = keyof typeof ObjectType

export const Operation = {
  Create: 1,
  CreateKeyPair: 2,
  Register: 3,
  ReKey: 4,
  DeriveKey: 5,
  Certify: 6,
  ReCertify: 7,
  Locate: 8,
  Check: 9,
  Get: 10,
  GetAttributes: 11,
  GetAttributeList: 12,
  AddAttribute: 13,
  ModifyAttribute: 14,
  DeleteAttribute: 15,
  ObtainLease: 0x10,
  GetUsageAllocation: 0x11,
  Activate: 0x12,
  Revoke: 0x13,
  Destroy: 0x14,
  Archive: 0x15,
  Recover: 0x16,
  Validate: 0x17,
  Query: 0x18,
  Cancel: 0x19,
  Poll: 0x1a,
  Notify: 0x1b,
  Put: 0x1c,
  ReKeyKeyPair: 0x1d,
  DiscoverVersions: 0x1e,
  Encrypt: 0x1f,
  Decrypt: 0x20,
  Sign: 0x21,
  SignatureVerify: 0x22,
  MAC: 0x23,
  MACVerify: 0x24,
  RNGRetrieve: 0x25,
  RNGSeed: 0x26,
  Hash: 0x27,
  CreateSplitKey: 0x28,
  JoinSplitKey: 0x29,
  Import: 0x2a,
  Export: 0x2b,
  Log: 0x2c,
  Login: 0x2d,
  Logout: 0x2e,
  DelegatedLogin: 0x2f,
  AdjustAttribute: 0x30,
  SetAttribute: 0x31,
  SetEndpointRole: 0x32,
  PKCS_11: 0x33,
  Interop: 0x34,
  ReProvision: 0x35,
  SetDefaults: 0x36,
  SetConstraints: 0x37,
  GetConstraints: 0x38,
  QueryAsynchronousRequests: 0x39,
  Process: 0x3a,
  Ping: 0x3b,
} as const
export type Operation = keyof typeof Operation

export const PaddingMethod = {
  None: 1,
  OAEP: 2,
  PKCS5: 3,
  SSL3: 4,
  Zeros: 5,
  ANSIX9_23: 6,
  ISO10126: 7,
  PKCS1V1_5: 8,
  X9_31: 9,
  PSS: 10,
} as const
export type PaddingMethod = keyof typeof PaddingMethod

export const ProcessingStage = {
  Submitted: 1,
  InProcess: 2,
  Completed: 3,
} as const
export type ProcessingStage = keyof typeof ProcessingStage

export const ProfileName = {
  BaselineServerBasicKMIPV1_2: 1,
  BaselineServerTLSV1_2KMIPV1_2: 2,
  BaselineClientBasicKMIPV1_2: 3,
  BaselineClientTLSV1_2KMIPV1_2: 4,
  CompleteServerBasicKMIPV1_2: 5,
  CompleteServerTLSV1_2KMIPV1_2: 6,
  TapeLibraryClientKMIPV1_0: 7,
  TapeLibraryClientKMIPV1_1: 8,
  TapeLibraryClientKMIPV1_2: 9,
  TapeLibraryServerKMIPV1_0: 10,
  TapeLibraryServerKMIPV1_1: 11,
  TapeLibraryServerKMIPV1_2: 12,
  SymmetricKeyLifecycleClientKMIPV1_0: 13,
  SymmetricKeyLifecycleClientKMIPV1_1: 14,
  SymmetricKeyLifecycleClientKMIPV1_2: 15,
  SymmetricKeyLifecycleServerKMIPV1_0: 0x10,
  SymmetricKeyLifecycleServerKMIPV1_1: 0x11,
  SymmetricKeyLifecycleServerKMIPV1_2: 0x12,
  AsymmetricKeyLifecycleClientKMIPV1_0: 0x13,
  AsymmetricKeyLifecycleClientKMIPV1_1: 0x14,
  AsymmetricKeyLifecycleClientKMIPV1_2: 0x15,
  AsymmetricKeyLifecycleServerKMIPV1_0: 0x16,
  AsymmetricKeyLifecycleServerKMIPV1_1: 0x17,
  AsymmetricKeyLifecycleServerKMIPV1_2: 0x18,
  BasicCryptographicClientKMIPV1_2: 0x19,
  BasicCryptographicServerKMIPV1_2: 0x1a,
  AdvancedCryptographicClientKMIPV1_2: 0x1b,
  AdvancedCryptographicServerKMIPV1_2: 0x1c,
  RNGCryptographicClientKMIPV1_2: 0x1d,
  RNGCryptographicServerKMIPV1_2: 0x1e,
  BasicSymmetricKeyFoundryClientKMIPV1_0: 0x1f,
  IntermediateSymmetricKeyFoundryClientKMIPV1_0: 0x20,
  AdvancedSymmetricKeyFoundryClientKMIPV1_0: 0x21,
  BasicSymmetricKeyFoundryClientKMIPV1_1: 0x22,
  IntermediateSymmetricKeyFoundryClientKMIPV1_1: 0x23,
  AdvancedSymmetricKeyFoundryClientKMIPV1_1: 0x24,
  BasicSymmetricKeyFoundryClientKMIPV1_2: 0x25,
  IntermediateSymmetricKeyFoundryClientKMIPV1_2: 0x26,
  AdvancedSymmetricKeyFoundryClientKMIPV1_2: 0x27,
  SymmetricKeyFoundryServerKMIPV1_0: 0x28,
  SymmetricKeyFoundryServerKMIPV1_1: 0x29,
  SymmetricKeyFoundryServerKMIPV1_2: 0x2a,
  OpaqueManagedObjectStoreClientKMIPV1_0: 0x2b,
  OpaqueManagedObjectStoreClientKMIPV1_1: 0x2c,
  OpaqueManagedObjectStoreClientKMIPV1_2: 0x2d,
  OpaqueManagedObjectStoreServerKMIPV1_0: 0x2e,
  OpaqueManagedObjectStoreServerKMIPV1_1: 0x2f,
  OpaqueManagedObjectStoreServerKMIPV1_2: 0x30,
  SuiteBMinLOS_128ClientKMIPV1_0: 0x31,
  SuiteBMinLOS_128ClientKMIPV1_1: 0x32,
  SuiteBMinLOS_128ClientKMIPV1_2: 0x33,
  SuiteBMinLOS_128ServerKMIPV1_0: 0x34,
  SuiteBMinLOS_128ServerKMIPV1_1: 0x35,
  SuiteBMinLOS_128ServerKMIPV1_2: 0x36,
  SuiteBMinLOS_192ClientKMIPV1_0: 0x37,
  SuiteBMinLOS_192ClientKMIPV1_1: 0x38,
  SuiteBMinLOS_192ClientKMIPV1_2: 0x39,
  SuiteBMinLOS_192ServerKMIPV1_0: 0x3a,
  SuiteBMinLOS_192ServerKMIPV1_1: 0x3b,
  SuiteBMinLOS_192ServerKMIPV1_2: 0x3c,
  StorageArrayWithSelfEncryptingDriveClientKMIPV1_0: 0x3d,
  StorageArrayWithSelfEncryptingDriveClientKMIPV1_1: 0x3e,
  StorageArrayWithSelfEncryptingDriveClientKMIPV1_2: 0x3f,
  StorageArrayWithSelfEncryptingDriveServerKMIPV1_0: 0x40,
  StorageArrayWithSelfEncryptingDriveServerKMIPV1_1: 0x41,
  StorageArrayWithSelfEncryptingDriveServerKMIPV1_2: 0x42,
  HTTPSClientKMIPV1_0: 0x43,
  HTTPSClientKMIPV1_1: 0x44,
  HTTPSClientKMIPV1_2: 0x45,
  HTTPSServerKMIPV1_0: 0x46,
  HTTPSServerKMIPV1_1: 0x47,
  HTTPSServerKMIPV1_2: 0x48,
  JSONClientKMIPV1_0: 0x49,
  JSONClientKMIPV1_1: 0x4a,
  JSONClientKMIPV1_2: 0x4b,
  JSONServerKMIPV1_0: 0x4c,
  JSONServerKMIPV1_1: 0x4d,
  JSONServerKMIPV1_2: 0x4e,
  XMLClientKMIPV1_0: 0x4f,
  XMLClientKMIPV1_1: 0x50,
  XMLClientKMIPV1_2: 0x51,
  XMLServerKMIPV1_0: 0x52,
  XMLServerKMIPV1_1: 0x53,
  XMLServerKMIPV1_2: 0x54,
  BaselineServerBasicKMIPV1_3: 0x55,
  BaselineServerTLSV1_2KMIPV1_3: 0x56,
  BaselineClientBasicKMIPV1_3: 0x57,
  BaselineClientTLSV1_2KMIPV1_3: 0x58,
  CompleteServerBasicKMIPV1_3: 0x59,
  CompleteServerTLSV1_2KMIPV1_3: 0x5a,
  TapeLibraryClientKMIPV1_3: 0x5b,
  TapeLibraryServerKMIPV1_3: 0x5c,
  SymmetricKeyLifecycleClientKMIPV1_3: 0x5d,
  SymmetricKeyLifecycleServerKMIPV1_3: 0x5e,
  AsymmetricKeyLifecycleClientKMIPV1_3: 0x5f,
  AsymmetricKeyLifecycleServerKMIPV1_3: 0x60,
  BasicCryptographicClientKMIPV1_3: 0x61,
  BasicCryptographicServerKMIPV1_3: 0x62,
  AdvancedCryptographicClientKMIPV1_3: 0x63,
  AdvancedCryptographicServerKMIPV1_3: 0x64,
  RNGCryptographicClientKMIPV1_3: 0x65,
  RNGCryptographicServerKMIPV1_3: 0x66,
  BasicSymmetricKeyFoundryClientKMIPV1_3: 0x67,
  IntermediateSymmetricKeyFoundryClientKMIPV1_3: 0x68,
  AdvancedSymmetricKeyFoundryClientKMIPV1_3: 0x69,
  SymmetricKeyFoundryServerKMIPV1_3: 0x6a,
  OpaqueManagedObjectStoreClientKMIPV1_3: 0x6b,
  OpaqueManagedObjectStoreServerKMIPV1_3: 0x6c,
  SuiteBMinLOS_128ClientKMIPV1_3: 0x6d,
  SuiteBMinLOS_128ServerKMIPV1_3: 0x6e,
  SuiteBMinLOS_192ClientKMIPV1_3: 0x6f,
  SuiteBMinLOS_192ServerKMIPV1_3: 0x70,
  StorageArrayWithSelfEncryptingDriveClientKMIPV1_3: 0x71,
  StorageArrayWithSelfEncryptingDriveServerKMIPV1_3: 0x72,
  HTTPSClientKMIPV1_3: 0x73,
  HTTPSServerKMIPV1_3: 0x74,
  JSONClientKMIPV1_3: 0x75,
  JSONServerKMIPV1_3: 0x76,
  XMLClientKMIPV1_3: 0x77,
  XMLServerKMIPV1_3: 0x78,
  BaselineServerBasicKMIPV1_4: 0x79,
  BaselineServerTLSV1_2KMIPV1_4: 0x7a,
  BaselineClientBasicKMIPV1_4: 0x7b,
  BaselineClientTLSV1_2KMIPV1_4: 0x7c,
  CompleteServerBasicKMIPV1_4: 0x7d,
  CompleteServerTLSV1_2KMIPV1_4: 0x7e,
  TapeLibraryClientKMIPV1_4: 0x7f,
  TapeLibraryServerKMIPV1_4: 0x80,
  SymmetricKeyLifecycleClientKMIPV1_4: 0x81,
  SymmetricKeyLifecycleServerKMIPV1_4: 0x82,
  AsymmetricKeyLifecycleClientKMIPV1_4: 0x83,
  AsymmetricKeyLifecycleServerKMIPV1_4: 0x84,
  BasicCryptographicClientKMIPV1_4: 0x85,
  BasicCryptographicServerKMIPV1_4: 0x86,
  AdvancedCryptographicClientKMIPV1_4: 0x87,
  AdvancedCryptographicServerKMIPV1_4: 0x88,
  RNGCryptographicClientKMIPV1_4: 0x89,
  RNGCryptographicServerKMIPV1_4: 0x8a,
  BasicSymmetricKeyFoundryClientKMIPV1_4: 0x8b,
  IntermediateSymmetricKeyFoundryClientKMIPV1_4: 0x8c,
  AdvancedSymmetricKeyFoundryClientKMIPV1_4: 0x8d,
  SymmetricKeyFoundryServerKMIPV1_4: 0x8e,
  OpaqueManagedObjectStoreClientKMIPV1_4: 0x8f,
  OpaqueManagedObjectStoreServerKMIPV1_4: 0x90,
  SuiteBMinLOS_128ClientKMIPV1_4: 0x91,
  SuiteBMinLOS_128ServerKMIPV1_4: 0x92,
  SuiteBMinLOS_192ClientKMIPV1_4: 0x93,
  SuiteBMinLOS_192ServerKMIPV1_4: 0x94,
  StorageArrayWithSelfEncryptingDriveClientKMIPV1_4: 0x95,
  StorageArrayWithSelfEncryptingDriveServerKMIPV1_4: 0x96,
  HTTPSClientKMIPV1_4: 0x97,
  HTTPSServerKMIPV1_4: 0x98,
  JSONClientKMIPV1_4: 0x99,
  JSONServerKMIPV1_4: 0x9a,
  XMLClientKMIPV1_4: 0x9b,
  XMLServerKMIPV1_4: 0x9c,
  CompleteServerBasic: 0x104,
  CompleteServerTLSV1_2: 0x105,
  TapeLibraryClient: 0x106,
  TapeLibraryServer: 0x107,
  SymmetricKeyLifecycleClient: 0x108,
  SymmetricKeyLifecycleServer: 0x109,
  AsymmetricKeyLifecycleClient: 0x10a,
  AsymmetricKeyLifecycleServer: 0x10b,
  BasicCryptographicClient: 0x10c,
  BasicCryptographicServer: 0x10d,
  AdvancedCryptographicClient: 0x10e,
  AdvancedCryptographicServer: 0x10f,
  RNGCryptographicClient: 0x110,
  RNGCryptographicServer: 0x111,
  BasicSymmetricKeyFoundryClient: 0x112,
  IntermediateSymmetricKeyFoundryClient: 0x113,
  AdvancedSymmetricKeyFoundryClient: 0x114,
  SymmetricKeyFoundryServer: 0x115,
  OpaqueManagedObjectStoreClient: 0x116,
  OpaqueManagedObjectStoreServer: 0x117,
  StorageArrayWithSelfEncryptingDriveClient: 0x11c,
  StorageArrayWithSelfEncryptingDriveServer: 0x11d,
  HTTPSClient: 0x11e,
  HTTPSServer: 0x11f,
  JSONClient: 0x120,
  JSONServer: 0x121,
  XMLClient: 0x122,
  XMLServer: 0x123,
  AESXTSClient: 0x124,
  AESXTSServer: 0x125,
  QuantumSafeClient: 0x126,
  QuantumSafeServer: 0x127,
  PKCS_11Client: 0x128,
  PKCS_11Server: 0x129,
  BaselineClient: 0x12a,
  BaselineServer: 0x12b,
  CompleteServer: 0x12c,
} as const
export type ProfileName = keyof typeof ProfileName

export const ProtectionLevel = {
  High: 1,
  Low: 2,
} as const
export type ProtectionLevel = keyof typeof ProtectionLevel

export const PutFunction = {
  New: 1,
  Replace: 2,
} as const
export type PutFunction = keyof typeof PutFunction

export const QueryFunction = {
  QueryOperations: 1,
  QueryObjects: 2,
  QueryServerInformation: 3,
  QueryApplicationNamespaces: 4,
  QueryExtensionList: 5,
  QueryExtensionMap: 6,
  QueryAttestationTypes: 7,
  QueryRNGs: 8,
  QueryValidations: 9,
  QueryProfiles: 10,
  QueryCapabilities: 11,
  QueryClientRegistrationMethods: 12,
  QueryDefaultsInformation: 13,
  QueryStorageProtectionMasks: 14,
} as const
export type QueryFunction = keyof typeof QueryFunction

export const RNGAlgorithm = {
  Unspecified: 1,
  FIPS186_2: 2,
  DRBG: 3,
  NRBG: 4,
  ANSIX9_31: 5,
  ANSIX9_62: 6,
} as const
export type RNGAlgorithm = keyof typeof RNGAlgorithm

export const RNGMode = {
  Unspecified: 1,
  SharedInstantiation: 2,
  NonSharedInstantiation: 3,
} as const
export type RNGMode = keyof typeof RNGMode

export const RecommendedCurve = {
  P_192: 1,
  K_163: 2,
  B_163: 3,
  P_224: 4,
  K_233: 5,
  B_233: 6,
  P_256: 7,
  K_283: 8,
  B_283: 9,
  P_384: 10,
  K_409: 11,
  B_409: 12,
  P_521: 13,
  K_571: 14,
  B_571: 15,
  SECP112R1: 0x10,
  SECP112R2: 0x11,
  SECP128R1: 0x12,
  SECP128R2: 0x13,
  SECP160K1: 0x14,
  SECP160R1: 0x15,
  SECP160R2: 0x16,
  SECP192K1: 0x17,
  SECP224K1: 0x18,
  SECP256K1: 0x19,
  SECT113R1: 0x1a,
  SECT113R2: 0x1b,
  SECT131R1: 0x1c,
  SECT131R2: 0x1d,
  SECT163R1: 0x1e,
  SECT193R1: 0x1f,
  SECT193R2: 0x20,
  SECT239K1: 0x21,
  ANSIX9P192V2: 0x22,
  ANSIX9P192V3: 0x23,
  ANSIX9P239V1: 0x24,
  ANSIX9P239V2: 0x25,
  ANSIX9P239V3: 0x26,
  ANSIX9C2PNB163V1: 0x27,
  ANSIX9C2PNB163V2: 0x28,
  ANSIX9C2PNB163V3: 0x29,
  ANSIX9C2PNB176V1: 0x2a,
  ANSIX9C2TNB191V1: 0x2b,
  ANSIX9C2TNB191V2: 0x2c,
  ANSIX9C2TNB191V3: 0x2d,
  ANSIX9C2PNB208W1: 0x2e,
  ANSIX9C2TNB239V1: 0x2f,
  ANSIX9C2TNB239V2: 0x30,
  ANSIX9C2TNB239V3: 0x31,
  ANSIX9C2PNB272W1: 0x32,
  ANSIX9C2PNB304W1: 0x33,
  ANSIX9C2TNB359V1: 0x34,
  ANSIX9C2PNB368W1: 0x35,
  ANSIX9C2TNB431R1: 0x36,
  BRAINPOOLP160R1: 0x37,
  BRAINPOOLP160T1: 0x38,
  BRAINPOOLP192R1: 0x39,
  BRAINPOOLP192T1: 0x3a,
  BRAINPOOLP224R1: 0x3b,
  BRAINPOOLP224T1: 0x3c,
  BRAINPOOLP256R1: 0x3d,
  BRAINPOOLP256T1: 0x3e,
  BRAINPOOLP320R1: 0x3f,
  BRAINPOOLP320T1: 0x40,
  BRAINPOOLP384R1: 0x41,
  BRAINPOOLP384T1: 0x42,
  BRAINPOOLP512R1: 0x43,
  BRAINPOOLP512T1: 0x44,
  CURVE25519: 0x45,
  CURVE448: 0x46,
} as const
export type RecommendedCurve = keyof typeof RecommendedCurve

export const ResultReason = {
  ItemNotFound: 1,
  ResponseTooLarge: 2,
  AuthenticationNotSuccessful: 3,
  InvalidMessage: 4,
  OperationNotSupported: 5,
  MissingData: 6,
  InvalidField: 7,
  FeatureNotSupported: 8,
  OperationCanceledByRequester: 9,
  CryptographicFailure: 10,
  IllegalOperation: 11,
  PermissionDenied: 12,
  ObjectArchived: 13,
  IndexOutOfBounds: 14,
  ApplicationNamespaceNotSupported: 15,
  KeyFormatTypeNotSupported: 0x10,
  KeyCompressionTypeNotSupported: 0x11,
  EncodingOptionError: 0x12,
  KeyValueNotPresent: 0x13,
  AttestationRequired: 0x14,
  AttestationFailed: 0x15,
  Sensitive: 0x16,
  NotExtractable: 0x17,
  ObjectAlreadyExists: 0x18,
  InvalidTicket: 0x19,
  UsageLimitExceeded: 0x1a,
  NumericRange: 0x1b,
  InvalidDataType: 0x1c,
  ReadOnlyAttribute: 0x1d,
  MultiValuedAttribute: 0x1e,
  UnsupportedAttribute: 0x1f,
  AttributeInstanceNotFound: 0x20,
  AttributeNotFound: 0x21,
  AttributeReadOnly: 0x22,
  AttributeSingleValued: 0x23,
  BadCryptographicParameters: 0x24,
  BadPassword: 0x25,
  CodecError: 0x26,
  IllegalObjectType: 0x28,
  IncompatibleCryptographicUsageMask: 0x29,
  InternalServerError: 0x2a,
  InvalidAsynchronousCorrelationValue: 0x2b,
  InvalidAttribute: 0x2c,
  InvalidAttributeValue: 0x2d,
  InvalidCorrelationValue: 0x2e,
  InvalidCSR: 0x2f,
  InvalidObjectType: 0x30,
  KeyWrapTypeNotSupported: 0x32,
  MissingInitializationVector: 0x34,
  NonUniqueNameAttribute: 0x35,
  ObjectDestroyed: 0x36,
  ObjectNotFound: 0x37,
  NotAuthorised: 0x39,
  ServerLimitExceeded: 0x3a,
  UnknownEnumeration: 0x3b,
  UnknownMessageExtension: 0x3c,
  UnknownTag: 0x3d,
  UnsupportedCryptographicParameters: 0x3e,
  UnsupportedProtocolVersion: 0x3f,
  WrappingObjectArchived: 0x40,
  WrappingObjectDestroyed: 0x41,
  WrappingObjectNotFound: 0x42,
  WrongKeyLifecycleState: 0x43,
  ProtectionStorageUnavailable: 0x44,
  PKCS_11CodecError: 0x45,
  PKCS_11InvalidFunction: 0x46,
  PKCS_11InvalidInterface: 0x47,
  PrivateProtectionStorageUnavailable: 0x48,
  PublicProtectionStorageUnavailable: 0x49,
  UnknownObjectGroup: 0x4a,
  ConstraintViolation: 0x4b,
  DuplicateProcessRequest: 0x4c,
  GeneralFailure: 0x100,
} as const
export type ResultReason = keyof typeof ResultReason

export const ResultStatus = {
  Success: 0,
  OperationFailed: 1,
  OperationPending: 2,
  OperationUndone: 3,
} as const
export type ResultStatus = keyof typeof ResultStatus

export const RevocationReasonCode = {
  Unspecified: 1,
  KeyCompromise: 2,
  CACompromise: 3,
  AffiliationChanged: 4,
  Superseded: 5,
  CessationOfOperation: 6,
  PrivilegeWithdrawn: 7,
} as const
export type RevocationReasonCode = keyof typeof RevocationReasonCode

export const RotateNameType = {
  UninterpretedTextString: 1,
  URI: 2,
} as const
export type RotateNameType = keyof typeof RotateNameType

export const SecretDataType = {
  Password: 1,
  Seed: 2,
} as const
export type SecretDataType = keyof typeof SecretDataType

export const ShreddingAlgorithm = {
  Unspecified: 1,
  Cryptographic: 2,
  Unsupported: 3,
} as const
export type ShreddingAlgorithm = keyof typeof ShreddingAlgorithm

export const SplitKeyMethod = {
  XOR: 1,
  PolynomialSharingGF2_16: 2,
  PolynomialSharingPrimeField: 3,
  PolynomialSharingGF2_8: 4,
} as const
export type SplitKeyMethod = keyof typeof SplitKeyMethod

export const State = {
  PreActive: 1,
  Active: 2,
  Deactivated: 3,
  Compromised: 4,
  Destroyed: 5,
  DestroyedCompromised: 6,
} as const
export type State = keyof typeof State

export const TicketType = {
  Login: 1,
} as const
export type TicketType = keyof typeof TicketType

export const UnwrapMode = {
  Unspecified: 1,
  Processed: 2,
  NotProcessed: 3,
} as const
export type UnwrapMode = keyof typeof UnwrapMode

export const UsageLimitsUnit = {
  Byte: 1,
  Object: 2,
} as const
export type UsageLimitsUnit = keyof typeof UsageLimitsUnit

export const ValidationAuthorityType = {
  Unspecified: 1,
  NISTCMVP: 2,
  CommonCriteria: 3,
} as const
export type ValidationAuthorityType = keyof typeof ValidationAuthorityType

export const ValidationType = {
  Unspecified: 1,
  Hardware: 2,
  Software: 3,
  Firmware: 4,
  Hybrid: 5,
} as const
export type ValidationType = keyof typeof ValidationType

export const ValidityIndicator = {
  Valid: 1,
  Invalid: 2,
  Unknown: 3,
} as const
export type ValidityIndicator = keyof typeof ValidityIndicator

export const WrappingMethod = {
  Encrypt: 1,
  MACSign: 2,
  EncryptThenMACSign: 3,
  MACSignThenEncrypt: 4,
  TR_31: 5,
} as const
export type WrappingMethod = keyof typeof WrappingMethod

/** Bits, to be added up. */
export const CryptographicUsageMask = {
  Sign: 0x1,
  Verify: 0x2,
  Encrypt: 0x4,
  Decrypt: 0x8,
  WrapKey: 0x10,
  UnwrapKey: 0x20,
  Export: 0x40,
  MACGenerate: 0x80,
  MACVerify: 0x100,
  DeriveKey: 0x200,
  ContentCommitmentNonRepudiation: 0x400,
  KeyAgreement: 0x800,
  CertificateSign: 0x1000,
  CRLSign: 0x2000,
  GenerateCryptogram: 0x4000,
  ValidateCryptogram: 0x8000,
  TranslateEncrypt: 0x10000,
  TranslateDecrypt: 0x20000,
  TranslateWrap: 0x40000,
  TranslateUnwrap: 0x80000,
  Authenticate: 0x100000,
  Unrestricted: 0x200000,
  FPEEncrypt: 0x400000,
  FPEDecrypt: 0x800000,
} as const
export type CryptographicUsageMask = keyof typeof CryptographicUsageMask

/** Bits, to be added up. */
export const StorageStatusMask = {
  OnLineStorage: 0x1,
  ArchivalStorage: 0x2,
  DestroyedStorage: 0x4,
} as const
export type StorageStatusMask = keyof typeof StorageStatusMask

/** Bits, to be added up. */
export const ProtectionStorageMask = {
  Software: 0x1,
  Hardware: 0x2,
  OnProcessor: 0x4,
  OnSystem: 0x8,
  OffSystem: 0x10,
  Hypervisor: 0x20,
  OperatingSystem: 0x40,
  Container: 0x80,
  OnPremises: 0x100,
  OffPremises: 0x200,
  SelfManaged: 0x400,
  Outsourced: 0x800,
  Validated: 0x1000,
  SameJurisdiction: 0x2000,
} as const
export type ProtectionStorageMask = keyof typeof ProtectionStorageMask
