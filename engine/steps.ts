/**
 * The one table of steps: the work a kernel does for a guest, named after what it does. The core counts steps, a cost
 * profile prices them, reports draw them. There are few on purpose: a step is something that happens on several paths,
 * and what always comes with it is part of it.
 */

/** Who acts: the lanes in the picture of a fault's life, left to right. */
export const LANES = ['guest', 'processor', 'KVM', 'host memory', 'VMM'] as const;
export type Lane = (typeof LANES)[number];

/** Where things happen: the kernel functions that a step or an entry of a life names, and the sides without one. */
export const PLACES = {
  guest: 'guest',
  hardware: 'processor',
  'svm_vcpu_enter_exit()': 'processor',

  'handle_abnormal_pfn()': 'KVM',
  'handle_emulation_failure()': 'KVM',
  'handle_mmio_page_fault()': 'KVM',
  'complete_emulated_mmio()': 'KVM',
  'direct_pte_prefetch()': 'KVM',
  'check_user_page_hwpoison()': 'KVM',
  'emulator_read_write()': 'KVM',
  'fast_page_fault()': 'KVM',
  '__gfn_to_hva_many()': 'KVM',
  'hva_to_pfn()': 'KVM',
  'io_interception()': 'KVM',
  'kvm_arch_setup_async_pf()': 'KVM',
  'kvm_io_bus_write()': 'KVM',
  'kvm_faultin_pfn()': 'KVM',
  'kvm_handle_error_pfn()': 'KVM',
  'is_page_fault_stale()': 'KVM',
  'kvm_mmu_page_fault()': 'KVM',
  'kvm_mmu_unprotect_page()': 'KVM',
  'kvm_queue_exception()': 'KVM',
  '__kvm_set_memory_region()': 'KVM',
  'kvm_unmap_gfn_range()': 'KVM',
  'make_spte()': 'KVM',
  'page_fault_handle_page_track()': 'KVM',
  'reexecute_instruction()': 'KVM',
  'retry_instruction()': 'KVM',
  'walk_addr_generic()': 'KVM',
  'x86_decode_insn()': 'KVM',
  'x86_emulate_insn()': 'KVM',

  'hva_to_pfn_fast()': 'host memory',
  'hva_to_pfn_slow()': 'host memory',
  'hva_to_pfn_remapped()': 'host memory',
  'do_cow_fault()': 'host memory',
  'filemap_fault()': 'host memory',
  'filemap_map_pages()': 'host memory',
  'handle_mm_fault()': 'host memory',

  KVM_RUN: 'VMM',
  'ioctl()': 'VMM',
  userspace: 'VMM',
} as const satisfies Readonly<Record<string, Lane>>;
export type Place = keyof typeof PLACES;

/** Steps that belong together, for pictures: a reader can tell eight colours apart, not twenty. */
export const STEP_GROUPS = [
  'guest–kernel switch',
  'userspace round trip',
  'page fault',
  'get_user_pages',
  'host memory',
  'stage-2 entries',
  'emulator',
  'memory slots',
] as const;
export type StepGroup = (typeof STEP_GROUPS)[number];

interface StepRow {
  /** What it is, and what is part of it. */
  readonly says: string;
  /** The kernel function that is most of it. */
  readonly at: Place;
  readonly group: StepGroup;
  /** A profile can price it: it is on a path of the recorded probes. Others are counted, and reports say so. */
  readonly priced: boolean;
}

/** The table, in the order of the counters. */
export const STEP_TABLE = {
  syscall: {
    says: 'into the kernel and out again: any ioctl',
    at: 'ioctl()',
    group: 'userspace round trip',
    priced: true,
  },
  'userspace-exit': {
    says: 'KVM_RUN around its loop: vCPU loaded and put, pending work looked for, kvm_run filled',
    at: 'KVM_RUN',
    group: 'userspace round trip',
    priced: true,
  },
  'world-switch': {
    says: 'VMRUN, #VMEXIT and what KVM does around them',
    at: 'svm_vcpu_enter_exit()',
    group: 'guest–kernel switch',
    priced: true,
  },
  pio: {
    says: 'a port access is set up and completed',
    at: 'io_interception()',
    group: 'guest–kernel switch',
    priced: true,
  },
  'page-fault': {
    says: 'a fault goes to its memslot and back: error code, look-up, verdict',
    at: 'kvm_mmu_page_fault()',
    group: 'page fault',
    priced: true,
  },
  'fast-page-fault': {
    says: 'the entry is there but forbids the write; stage 2 is walked without a lock to look at it',
    at: 'fast_page_fault()',
    group: 'page fault',
    priced: true,
  },
  'gup-fast': {
    says: 'get_user_pages_fast_only(), whether it finds a page it may use or not',
    at: 'hva_to_pfn_fast()',
    group: 'get_user_pages',
    priced: true,
  },
  'gup-slow': {
    says: 'get_user_pages_unlocked(): VMA look-up and walk, whether it gives a page or refuses',
    at: 'hva_to_pfn_slow()',
    group: 'get_user_pages',
    priced: true,
  },
  'host-fault': {
    says: "the host serves or refuses a fault on the VMM's memory: the page is mapped, or copied, or it is an error",
    at: 'handle_mm_fault()',
    group: 'host memory',
    priced: true,
  },
  'host-map': {
    says: 'a read fault maps a neighbour of the page along with it (fault-around)',
    at: 'filemap_map_pages()',
    group: 'host memory',
    priced: true,
  },
  'host-io': {
    says: 'the host reads a page from the disk and waits',
    at: 'filemap_fault()',
    group: 'host memory',
    priced: true,
  },
  'stage2-map': {
    says: 'a stage-2 entry is made',
    at: 'make_spte()',
    group: 'stage-2 entries',
    priced: true,
  },
  'emulate-decode': {
    says: 'code bytes fetched and decoded, to be executed or only to be stepped over',
    at: 'x86_decode_insn()',
    group: 'emulator',
    priced: true,
  },
  'emulate-access': {
    says: "an operand goes through the emulator's read, write or cmpxchg callback, whatever is found there",
    at: 'emulator_read_write()',
    group: 'emulator',
    priced: true,
  },
  'mmio-exit': {
    says: 'an MMIO fragment is handed to userspace and its answer taken up',
    at: 'complete_emulated_mmio()',
    group: 'userspace round trip',
    priced: true,
  },
  'slot-change': {
    says: 'KVM_SET_USER_MEMORY_REGION changes the slots: a new set of them, and waiting for readers of the old',
    at: '__kvm_set_memory_region()',
    group: 'memory slots',
    priced: true,
  },
  'host-cow': {
    says: 'the host copies a page for a private mapping',
    at: 'do_cow_fault()',
    group: 'host memory',
    priced: false,
  },
  'guest-walk': {
    says: "KVM walks the guest's page tables in software",
    at: 'walk_addr_generic()',
    group: 'page fault',
    priced: false,
  },
  inject: {
    says: 'an exception is queued for the guest',
    at: 'kvm_queue_exception()',
    group: 'guest–kernel switch',
    priced: false,
  },
  'stage2-zap': {
    says: "a stage-2 entry is taken away because the host's mapping changed",
    at: 'kvm_unmap_gfn_range()',
    group: 'stage-2 entries',
    priced: false,
  },
  'mmio-bus': {
    says: 'an emulated store is shown to the devices in the kernel: coalesced zones and ioeventfds',
    at: 'kvm_io_bus_write()',
    group: 'emulator',
    priced: false,
  },
} as const satisfies Readonly<Record<string, StepRow>>;

/** A step, by name. */
export type Step = keyof typeof STEP_TABLE;
/** A step that a profile can price. */
export type PricedStep = { [S in Step]: (typeof STEP_TABLE)[S]['priced'] extends true ? S : never }[Step];

/** All steps. */
export const STEPS = Object.keys(STEP_TABLE) as readonly Step[];
/** Those that a profile can price. */
export const PRICED_STEPS = STEPS.filter((s): s is PricedStep => STEP_TABLE[s].priced);

/** Index of a step in a counter array. */
export const STEP_INDEX = Object.fromEntries(STEPS.map((s, i) => [s, i])) as Readonly<Record<Step, number>>;

/** No step taken so far. */
export const noSteps = (): Record<Step, number> =>
  Object.fromEntries(STEPS.map((s) => [s, 0])) as Record<Step, number>;

/** A word as a step, where it is one: counts and files may come from another version of this program. */
export const stepNamed = (name: string): Step | undefined =>
  Object.hasOwn(STEP_TABLE, name) ? (name as Step) : undefined;
