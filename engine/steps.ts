/**
 * The steps of work a kernel does for a guest, named after what it does. The core counts them; a cost profile
 * prices them. There are few on purpose: a step is something that happens on several paths, and what always
 * comes with it is part of it.
 */

/** Steps that a profile can price: each is on a path of the recorded probes. */
export const PRICED_STEPS = [
  /** Into the kernel and out again: any ioctl. */
  'syscall',
  /** KVM_RUN around its loop: vCPU loaded and put, pending work looked for, kvm_run filled. */
  'userspace-exit',
  /** VMRUN, #VMEXIT and what KVM does around them. */
  'world-switch',
  /** A port access is set up and completed. */
  'pio',
  /** kvm_mmu_page_fault() to a memslot and back: error code, look-up, verdict. */
  'page-fault',
  /** fast_page_fault(): the entry is there but forbids the write; stage 2 is walked without a lock to look at it. */
  'fast-page-fault',
  /** get_user_pages_fast_only(), whether it finds a page it may use or not. */
  'gup-fast',
  /** get_user_pages_unlocked(): VMA look-up and walk, whether it gives a page or refuses. */
  'gup-slow',
  /** The host serves or refuses a fault on the VMM's memory: the page is mapped, or copied, or it is an error. */
  'host-fault',
  /** A read fault maps a neighbour of the page along with it (fault-around). */
  'host-map',
  /** The host reads a page from the disk and waits. */
  'host-io',
  /** A stage-2 entry is made. */
  'stage2-map',
  /** x86_decode_insn(): code bytes fetched and decoded, to be executed or only to be stepped over. */
  'emulate-decode',
  /** An operand goes through the emulator's read, write or cmpxchg callback, whatever is found there. */
  'emulate-access',
  /** An MMIO fragment is handed to userspace and its answer taken up. */
  'mmio-exit',
  /** KVM_SET_USER_MEMORY_REGION changes the slots: a new set of them, and waiting for readers of the old. */
  'slot-change',
] as const;

/** Steps that are counted but on no recorded path: they have no price, and reports say so. */
export const UNPRICED_STEPS = [
  /** The host copies a page for a private mapping. */
  'host-cow',
  /** KVM walks the guest's page tables in software. */
  'guest-walk',
  /** An exception is queued for the guest. */
  'inject',
  /** A stage-2 entry is taken away because the host's mapping changed. */
  'stage2-zap',
] as const;

/** All steps. */
export const STEPS = [...PRICED_STEPS, ...UNPRICED_STEPS] as const;
export type Step = (typeof STEPS)[number];

/** Index of a step in a counter array. */
export const STEP_INDEX = Object.fromEntries(STEPS.map((s, i) => [s, i])) as Readonly<Record<Step, number>>;
