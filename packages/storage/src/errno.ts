/** An error such as the kernel's, with the errno's name as its `code`. */
export function errno(code: string, message: string): Error & { readonly code: string } {
  return Object.assign(new Error(`${code}: ${message}`), { code })
}
