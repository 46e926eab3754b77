/**
 * The words of the KVM interface: numbers with the kernel's spelling, a sentence each; exits have a table of their own.
 * Sources: include/uapi/linux/kvm.h, include/linux/kvm_host.h and arch/x86/kvm of Linux 6.1.
 */

/** `KVM_SET_USER_MEMORY_REGION`: record in a bitmap which pages the guest wrote. */
export const KVM_MEM_LOG_DIRTY_PAGES = 1;
/** `KVM_SET_USER_MEMORY_REGION`: a write is not done but leaves as `KVM_EXIT_MMIO` (Linux 3.7). */
export const KVM_MEM_READONLY = 2;

/** `struct kvm_userspace_memory_region`, with the hva of a mapping. */
export interface MemoryRegion {
  readonly slot: number;
  readonly flags: number;
  readonly guestPhysAddr: number;
  readonly memorySize: number;
  readonly userspaceAddr: number;
}

/** Error numbers, positive; calls return them negated, as in the kernel. */
export const ENOENT = 2;
export const EINTR = 4;
export const ENOMEM = 12;
export const EFAULT = 14;
export const EEXIST = 17;
export const EINVAL = 22;
export const ENOSPC = 28;

/** The errno's name, for messages; unknown numbers print themselves. */
export function errnoName(errno: number): string {
  const names: Record<number, string> = {
    [ENOENT]: 'ENOENT',
    [EINTR]: 'EINTR',
    [ENOMEM]: 'ENOMEM',
    [EFAULT]: 'EFAULT',
    [EEXIST]: 'EEXIST',
    [EINVAL]: 'EINVAL',
    [ENOSPC]: 'ENOSPC',
  };
  return names[errno] ?? `errno ${errno}`;
}

/** mmap() protection bits; a VMA's VM_READ and VM_WRITE follow them. */
export const PROT_NONE = 0;
export const PROT_READ = 1;
export const PROT_WRITE = 2;

/** Guest page size: 4 KiB, and the shift that goes with it. */
export const PAGE_SHIFT = 12;
export const PAGE_SIZE = 4096;
export const PAGE_MASK = 4095;

/** Width of a guest-physical address. The recorded kernels ran on a CPU with 40 bits. */
export const MAXPHYADDR = 40;
/** First gfn that the processor cannot address: page-table entries naming it have a reserved bit set. */
export const GFN_LIMIT = 2 ** (MAXPHYADDR - PAGE_SHIFT);

/** #NPF error code (PFERR_*_MASK): the entry was there and forbade the access. */
export const PFERR_PRESENT = 1;
export const PFERR_WRITE = 2;
export const PFERR_USER = 4;
/** A reserved bit was set: this is how an MMIO entry makes itself known. */
export const PFERR_RSVD = 8;
export const PFERR_FETCH = 16;
/** Bit 33 of the kernel's code (here 32): the access was the hardware's walk of the guest's page tables. */
export const PFERR_GUEST_PAGE = 32;
