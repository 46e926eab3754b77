/**
 * The steps of work a kernel does for a guest, named after what it does. The core counts them; a cost profile
 * prices them. There are few on purpose: a step is something that happens on several paths.
 */
export const STEPS = [
  /** Guest to kernel and back: VMRUN, #VMEXIT and what KVM does around them. */
  'world-switch',
  /** KVM_RUN returns to userspace and is called again. */
  'userspace-exit',
  /** A port access is set up and completed. */
  'pio',
  /** A halt is turned into an exit. */
  'halt',
  /** kvm_mmu_page_fault() to a verdict: error code, memslot look-up, mmu_topup, mmu_lock. */
  'page-fault',
  /** get_user_pages_fast_only() finds a mapped page. */
  'gup-fast',
  /** get_user_pages_fast_only() was tried and found nothing it may use. */
  'gup-fast-miss',
  /** get_user_pages_unlocked(): VMA look-up and walk, page already mapped. */
  'gup-slow',
  /** …and it refused: the error path with its VMA look-ups. */
  'gup-failed',
  /** The host maps a page that is in memory (minor fault), sixteen at a time for reads. */
  'host-minor-fault',
  /** The host copies a page for a private mapping. */
  'host-cow',
  /** The host reads a page from the disk and waits. */
  'host-io',
  /** A stage-2 entry is made. */
  'stage2-map',
  /** A page is marked in the dirty bitmap, or write access is given back by fast_page_fault(). */
  'dirty-log',
  /** x86_decode_insn(): code bytes fetched and decoded. */
  'emulate-decode',
  /** x86_emulate_insn(): operands, execution, writeback. */
  'emulate-execute',
  /** retry_instruction(): decoded, not executed, guest entered again. */
  'emulate-retry',
  /** The emulator reads guest memory (copy_from_user). */
  'emulate-read',
  /** The emulator writes guest memory, or tries to (copy_to_user). */
  'emulate-write',
  /** A locked write: cmpxchg on user memory, or tried. */
  'emulate-cmpxchg',
  /** The emulator walks guest page tables. */
  'guest-walk',
  /** An MMIO fragment is handed to userspace. */
  'mmio-exit',
  /** The VMM's answer to an MMIO exit is taken up. */
  'mmio-complete',
  /** handle_emulation_failure() fills the exit. */
  'emulate-failure',
  /** KVM_RUN returns an error. */
  'error-exit',
  /** An exception is queued for the guest. */
  'inject',
  /** KVM_SET_USER_MEMORY_REGION makes or changes a slot. */
  'slot-create',
  /** …deletes or moves one: two memslot generations and a zap. */
  'slot-delete',
  /** A stage-2 entry is taken away. */
  'stage2-zap',
] as const;
export type Step = (typeof STEPS)[number];

/** Index of a step in a counter array. */
export const STEP_INDEX = Object.fromEntries(STEPS.map((s, i) => [s, i])) as Readonly<Record<Step, number>>;
