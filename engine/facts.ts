/**
 * The facts: everything a fault-path decision may look at, one bit each.
 *
 * A fault is described by one small integer, the fault word. There are few enough legal words that every
 * decision can be asked about all of them when a machine is made; after that a decision is a table look-up,
 * and two strategies can be compared by comparing two tables.
 */

/** The access is a write (PFERR_WRITE). */
export const F_WRITE = 1 << 0;
/** A memslot covers the gfn. */
export const F_SLOT = 1 << 1;
/** That slot has KVM_MEM_READONLY. */
export const F_SLOT_READONLY = 1 << 2;
/** A VMA covers the hva. */
export const F_VMA = 1 << 3;
/** The VMA has VM_READ. */
export const F_VM_READ = 1 << 4;
/** The VMA has VM_WRITE. */
export const F_VM_WRITE = 1 << 5;
/** The VMM's page table has the page mapped. */
export const F_PTE_PRESENT = 1 << 6;
/** …and mapped writable (no copy-on-write or write-notify pending). */
export const F_PTE_WRITE = 1 << 7;
/** A *read* that faults the page in leaves a writable pte: shared memory without write-notify. */
export const F_MKWRITE = 1 << 8;
/** The page's bytes are not in memory, and who may not wait for them is sent away: a file's, or swapped-out anonymous ones. */
export const F_COLD = 1 << 9;
/** Touching the page gives SIGBUS although the VMA allows it: past the end of the file. */
export const F_SIGBUS = 1 << 10;
/** The vCPU can take an asynchronous page fault now (`kvm_can_do_async_pf()` and what precedes it). */
export const F_APF = 1 << 11;
/** The VMA is of a driver that maps memory of its own (VM_PFNMAP): get_user_pages() refuses, KVM reads the pte itself. */
export const F_PFNMAP = 1 << 12;

/** Number of fault words, legal or not: the length of a table indexed by one. */
export const FACT_WORDS = 1 << 13;

/** The facts' names, lowest bit first, as reports print them. */
export const FACT_NAMES = [
  'write',
  'slot',
  'slot.readonly',
  'vma',
  'vm_read',
  'vm_write',
  'pte.present',
  'pte.write',
  'mkwrite',
  'cold',
  'sigbus',
  'apf',
  'pfnmap',
] as const;

/** The facts of one fault, spelled out for those who write a policy. */
export interface Facts {
  /** The fault word these facts were read from. */
  readonly word: number;
  readonly write: boolean;
  readonly slot: boolean;
  readonly slotReadonly: boolean;
  readonly vma: boolean;
  readonly vmRead: boolean;
  readonly vmWrite: boolean;
  readonly ptePresent: boolean;
  readonly pteWrite: boolean;
  readonly mkwrite: boolean;
  readonly cold: boolean;
  readonly sigbus: boolean;
  readonly apf: boolean;
  readonly pfnmap: boolean;
}

/** Spells a fault word out. Allocates: for tables and explanations, not for the hot path. */
export function factsOf(word: number): Facts {
  return {
    word,
    write: (word & F_WRITE) !== 0,
    slot: (word & F_SLOT) !== 0,
    slotReadonly: (word & F_SLOT_READONLY) !== 0,
    vma: (word & F_VMA) !== 0,
    vmRead: (word & F_VM_READ) !== 0,
    vmWrite: (word & F_VM_WRITE) !== 0,
    ptePresent: (word & F_PTE_PRESENT) !== 0,
    pteWrite: (word & F_PTE_WRITE) !== 0,
    mkwrite: (word & F_MKWRITE) !== 0,
    cold: (word & F_COLD) !== 0,
    sigbus: (word & F_SIGBUS) !== 0,
    apf: (word & F_APF) !== 0,
    pfnmap: (word & F_PFNMAP) !== 0,
  };
}

/** The facts that hold in a word, joined with spaces: `write slot slot.readonly vma vm_read`. */
export function describeFacts(word: number): string {
  return FACT_NAMES.filter((_, bit) => (word & (1 << bit)) !== 0).join(' ');
}

/**
 * Which facts can occur together. A word that is not legal cannot be produced by any host and guest;
 * tables hold nothing for it and tests may ask for it in vain (compare `ac_test_legal` of kvm-unit-tests).
 */
export function isLegal(word: number): boolean {
  const has = (bits: number): boolean => (word & bits) === bits;
  const any = (bits: number): boolean => (word & bits) !== 0;
  // Without a slot there is no hva, and so nothing to know about the host.
  if (!any(F_SLOT)) return (word & ~(F_WRITE | F_APF)) === 0;
  const host =
    F_VM_READ | F_VM_WRITE | F_PTE_PRESENT | F_PTE_WRITE | F_MKWRITE | F_COLD | F_SIGBUS | F_PFNMAP;
  if (!any(F_VMA) && any(host)) return false;
  // A driver maps its memory when the VMA is made, and the ptes have its rights ever after.
  if (any(F_PFNMAP)) {
    const pte = any(F_VM_WRITE) ? F_PTE_PRESENT | F_PTE_WRITE : F_PTE_PRESENT;
    if ((word & (F_PTE_PRESENT | F_PTE_WRITE)) !== pte || any(F_MKWRITE | F_COLD | F_SIGBUS)) return false;
    return any(F_VM_READ) || !any(F_VM_WRITE);
  }
  // mmap() knows no write-only memory on x86; a page is mapped at most as its VMA allows.
  if (any(F_VM_WRITE) && !any(F_VM_READ)) return false;
  if (any(F_PTE_PRESENT) && !any(F_VM_READ)) return false;
  if (any(F_PTE_WRITE) && !has(F_PTE_PRESENT | F_VM_WRITE)) return false;
  if (any(F_MKWRITE) && !any(F_VM_WRITE)) return false;
  // A mapped page is in memory, and a page past the end of the file is neither mapped nor on the disk.
  if (any(F_PTE_PRESENT) && any(F_COLD | F_SIGBUS)) return false;
  return !has(F_COLD | F_SIGBUS);
}

/** Every legal fault word, ascending. */
export const LEGAL_WORDS: readonly number[] = Array.from({ length: FACT_WORDS }, (_, w) => w).filter(isLegal);
