import { bytes, type Of, optional, repeated, structure, text } from '@cryptvisor/ttlv'
import { Tag } from '../tag.ts'

/** KMIP 1.4, 3.10: issuer and serial number, DER encoded. */
export const x509CertificateIdentifier = (tag: number) =>
  structure(tag, {
    issuerDistinguishedName: bytes(Tag.IssuerDistinguishedName),
    certificateSerialNumber: bytes(Tag.CertificateSerialNumber),
  })
export type X509CertificateIdentifier = Of<ReturnType<typeof x509CertificateIdentifier>>

/** KMIP 1.4, 3.11: whom the certificate is about, DER encoded. */
export const x509CertificateSubject = (tag: number) =>
  structure(tag, {
    subjectDistinguishedName: bytes(Tag.SubjectDistinguishedName),
    subjectAlternativeName: repeated(bytes(Tag.SubjectAlternativeName)),
  })
export type X509CertificateSubject = Of<ReturnType<typeof x509CertificateSubject>>

/** KMIP 1.4, 3.12: who issued the certificate, DER encoded. */
export const x509CertificateIssuer = (tag: number) =>
  structure(tag, {
    issuerDistinguishedName: bytes(Tag.IssuerDistinguishedName),
    issuerAlternativeName: repeated(bytes(Tag.IssuerAlternativeName)),
  })
export type X509CertificateIssuer = Of<ReturnType<typeof x509CertificateIssuer>>

/** KMIP 1.4, 3.13 (deprecated): issuer and serial number, as text. */
export const certificateIdentifier = (tag: number) =>
  structure(tag, {
    issuer: text(Tag.Issuer),
    serialNumber: optional(text(Tag.SerialNumber)),
  })
export type CertificateIdentifier = Of<ReturnType<typeof certificateIdentifier>>

/** KMIP 1.4, 3.14 (deprecated): whom the certificate is about, as text. */
export const certificateSubject = (tag: number) =>
  structure(tag, {
    certificateSubjectDistinguishedName: text(Tag.CertificateSubjectDistinguishedName),
    certificateSubjectAlternativeName: repeated(text(Tag.CertificateSubject_AlternativeName)),
  })
export type CertificateSubject = Of<ReturnType<typeof certificateSubject>>

/** KMIP 1.4, 3.15 (deprecated): who issued the certificate, as text. */
export const certificateIssuer = (tag: number) =>
  structure(tag, {
    certificateIssuerDistinguishedName: text(Tag.CertificateIssuerDistinguishedName),
    certificateIssuerAlternativeName: repeated(text(Tag.CertificateIssuerAlternativeName)),
  })
export type CertificateIssuer = Of<ReturnType<typeof certificateIssuer>>
