/** Where claims come from: mails of the thread of August 2012, commits, and VMMs that do it. */

/** The thread's bug. */
export const COLD_READ_DIES =
  'Xiao, 11 August 2012: a read-only mapping whose page is not in memory gives a fault pfn';
export const SWAP_IS_WAITED_FOR =
  'shmem_swapin_folio(): waits for the page whatever the caller asked; from reading mm/shmem.c of 6.1, not recorded';
export const WRITE_KILLS = 'Xiao, 16 August 2012: if the guest writes a read-only gfn, the VM crashes';
export const READS_WORK = 'Marcelo, 10 August 2012: supported today, as long as there are no write faults';
export const ASYNC_FIX = 'vma_is_valid() in hva_to_pfn(), Linux 3.7';
export const FLAG = 'commit 4d8b81abc47b: reads are direct, writes are MMIO exits';
export const GUP_REASONS = 'Xiao, 16 August 2012: gup could tell the fault reason, though it is more complex';
export const V3_CACHES = 'changelog of v4, 17 July 2012: MMIO info was cached by a write to a read-only slot';
export const V5_RETRIES =
  'changelog of v6, 21 August 2012: endless retry of an instruction KVM cannot handle (3.5 to 3.8: shadow paging only)';
export const V3_NOT_RETRIED =
  'kvm_mmu_page_fault(): an address cached as MMIO is emulated without leave to retry, so v3 escapes the loop';
export const V6_GIVES_UP =
  'reexecute_instruction() of 3.7; Xiao, 16 August 2012: simply exit via KVM_EXIT_INTERNAL_ERROR';
export const MMIO_FAILS_AGAIN = 'Xiao, 16 August 2012: after the MMIO, the emulation will fail again';
export const LOOPING = 'Marcelo, 16 August 2012: or leave the guest looping';
export const COPY_ON_WRITE = 'copy on write: the file does not see the guest';
export const NO_SLOT = 'no memslot: every access is MMIO (crosvm)';
export const WRITABLE = 'nothing stops the store (VirtualBox on KVM, 2021)';
export const SKIPS = 'the VMM steps over the store (mmu_stress_test)';
export const OWN = 'own reasoning';

/** Strategies that agree on most questions, for the tables of claims. */
export const UNFLAGGED_READONLY = ['mmap-prot-read', 'shm-multi-map'] as const;
export const FLAGGED = ['readonly-memslot', 'readonly-memslot-v4', 'readonly-memslot-v5', 'coexist'] as const;
