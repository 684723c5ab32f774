/** What Node cannot do with an open file by itself. Layer 5 gives it, by child processes that inherit the descriptor. */
export interface DescriptorTools {
  /** Takes an exclusive lock that ends with the file description; `false` while another has it. Rejects with `ENOLCK`. */
  lock(descriptor: number): Promise<boolean>
  /** Takes the room of a file's first `sizeBytes`; `false` where the file system cannot. Rejects with `ENOSPC`. */
  allocate(descriptor: number, sizeBytes: number): Promise<boolean>
}
