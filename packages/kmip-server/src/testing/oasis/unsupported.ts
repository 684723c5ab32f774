/** Published cases that we do not pass although we have their operations, and why. */
export const unsupported: readonly (readonly [file: RegExp, reason: string])[] = [
  [/^SK(FF-M-1[01]|FF-O-3)-1[0-3]|^SKLC-O-1|^TC_41_/, 'wants a Lease Time, and leases are not given'],
  [/^MSGENC-|^SUITEB_192-|^TC_121_|^SASED-M-1-/, 'wants Query to list operations or objects that are not there'],
  [/^SASED-M-2-13|^TC_31[24]_/, 'uses Template objects, deprecated in 1.3'],
  [/^SASED-M-3-|^TC-OTP-|^TC-CREG-/, 'uses objects of another case, or a set-up that it does not describe'],
  [
    /^SKFF-M-1[01]-14|^TC-RNG-ATTR-2|^TC-Q-(RNGS|CAP|CREG|S2C)/,
    'wants the capabilities of the server that it was recorded with',
  ],
  [/^AX-M-2-|^TC_14[12]_/, 'wants keys to be wrapped by Get'],
  [/^TC_11[12]_/, 'wants user names and passwords'],
  [/^TC_122_/, 'wants extensions of a vendor'],
  [
    /^TC_13[12]_|^TC_182_|^TC_ECC_|^TC-ECC-|^TC_PGP_|^TC-PGP-/,
    'registers public keys, private keys, certificates or PGP keys',
  ],
  [/^TC_15[13]_/, 'wants a default group, or its members in turn'],
  [/^TC_181_/, 'wants a Digest for each format of a key'],
  [/^TC_MDO_|^TC-MDO-/, 'registers keys that lie elsewhere'],
]
