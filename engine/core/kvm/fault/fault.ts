/**
 * One guest page fault while it is handled (`struct kvm_page_fault` of Linux 6.1): what it is goes in; what was found
 * and which way it took come out. Counts, explanations and reports read this record. Nobody works out a second time
 * what happened.
 */
import type { FaultKind } from '../../../observation.ts';
import type { Place } from '../../../steps.ts';
import { V_ACTION, V_ASYNC, V_EFAULT, V_EMULATE, V_EMULATE_MMIO, V_MAP } from './fault-path.ts';

/** The way is not known yet. */
export const HOW_NONE = 0;
/** Through the fault path: word and verdict say what came of it. Counted by word (WORDS), not by way. */
export const HOW_PATH = 1;
/** fast_page_fault() gave write access back that was only taken for the dirty log. */
export const HOW_FAST = 2;
/** An MMIO entry of this generation of slots. */
export const HOW_MMIO = 3;
/** A store to a page that is shadowed as a guest page table. */
export const HOW_TRACKED = 4;
/** The guest's own tables refuse the access. */
export const HOW_GUEST = 5;
/** KVM cannot read a table of the guest. */
export const HOW_TABLE_UNREADABLE = 6;
/** KVM cannot write an accessed or dirty bit to a table of the guest. */
export const HOW_BITS_REFUSED = 7;
/** Through the fault path to a page, and then the host's mapping had changed: nothing is mapped. */
export const HOW_STALE = 8;

/** A way: what it counts as (through the fault path the verdict says), the function where it ends, and what that did. */
interface How {
  readonly kind?: FaultKind;
  readonly at: Place;
  readonly says: string;
}

/** The ways by number. */
export const HOWS: readonly How[] = [
  { at: 'kvm_mmu_page_fault()', says: 'not handled' },
  { at: 'kvm_mmu_page_fault()', says: 'through the fault path' },
  {
    kind: 'fixed',
    at: 'fast_page_fault()',
    says: 'write access was only taken for the dirty log: given back; the guest goes on',
  },
  {
    kind: 'mmio',
    at: 'handle_mmio_page_fault()',
    says: 'an MMIO entry: emulate without any look-up',
  },
  {
    kind: 'emulate',
    at: 'page_fault_handle_page_track()',
    says: 'a store to a page that holds page tables of the guest: emulate it',
  },
  { kind: 'guest', at: 'walk_addr_generic()', says: "the guest's own tables refuse the access" },
  {
    kind: 'guest',
    at: 'walk_addr_generic()',
    says: "a page table of the guest cannot be read: taken for the guest's own fault",
  },
  {
    kind: 'guest',
    at: 'walk_addr_generic()',
    says: "an accessed or dirty bit cannot be written to the guest's page table: taken for the guest's own fault",
  },
  {
    kind: 'retry',
    at: 'is_page_fault_stale()',
    says: "the host's mapping changed while it gave the page: the guest faults once more",
  },
];

/** What a verdict's action counts as. */
const KIND_OF_ACTION: Readonly<Record<number, FaultKind>> = {
  [V_MAP]: 'fixed',
  [V_EMULATE]: 'emulate',
  [V_EMULATE_MMIO]: 'emulate',
  [V_EFAULT]: 'error',
  [V_ASYNC]: 'async',
};

/** What a fault with this verdict counts as; undefined for a word that cannot occur. */
export const kindOfVerdict = (verdict: number): FaultKind | undefined => KIND_OF_ACTION[verdict & V_ACTION];

/** The record: one a vCPU, refilled at each fault, so that handling one allocates nothing. */
export class Fault {
  /** cr2_or_gpa: guest-physical, or linear where KVM walks the guest's tables. */
  address = 0;
  /** The linear address of the access. */
  linear = 0;
  /** PFERR_* of the VM exit. */
  code = 0;
  /** The address is guest-physical (`root_role.direct`). */
  direct = true;
  /** F_WRITE, or 0. */
  write = 0;
  /** The guest frame; -1 as long as no walk has found it. */
  gfn = -1;

  /** The way it took, HOW_*. */
  how = HOW_NONE;
  /** Facts and verdict; -1 and 0 where nobody looked. */
  word = -1;
  verdict = 0;
  /** Slot record and host pte that the facts were read from, 0 for none; the frame that was mapped. */
  slot = 0;
  pte = 0;
  frame = 0;
  /** HOST_*: what the host did for it. */
  host = 0;
  /** The stage-2 entry that was there. */
  spte = 0;
  /** fast_page_fault() looked at that entry, whether it could help or not. */
  lookedFast = false;
  /** Neighbours that were mapped along with the page. */
  prefetched = 0;
  /** KVM's walk left an accessed or dirty bit out, because the table is in a read-only slot. */
  skippedBits = false;
  /** A store to a table of its own translation (`write_fault_to_shadow_pgtable`). */
  writesOwnTable = false;
  /** The emulator let the guest try again before it did anything (retry_instruction()). */
  retried = false;
  /** Error code of the #PF that the guest is given. */
  guestCode = 0;

  /** A fault on a guest frame begins, or on one that a walk has to find (-1): nothing is known of it yet. */
  begin(gfn: number, write: number): void {
    this.gfn = gfn;
    this.write = write;
    this.how = HOW_NONE;
    this.word = -1;
    this.verdict = 0;
    this.slot = 0;
    this.pte = 0;
    this.frame = 0;
    this.host = 0;
    this.spte = 0;
    this.lookedFast = false;
    this.prefetched = 0;
    this.skippedBits = false;
    this.writesOwnTable = false;
    this.retried = false;
    this.guestCode = 0;
  }

  /** What it counts as, once it was handled; undefined before. */
  get kind(): FaultKind | undefined {
    return this.retried ? 'retry' : (HOWS[this.how]!.kind ?? kindOfVerdict(this.verdict));
  }
}

/** Faults by the way they took, the fault path left out; and of all those how many the emulator put off. */
export class FaultCounts {
  readonly hows = new Int32Array(HOWS.length);
  readonly retried = new Int32Array(HOWS.length);

  /** This is the way. */
  took(fault: Fault, how: number): void {
    fault.how = how;
    this.hows[how]!++;
  }

  /** retry_instruction() enters the guest again. */
  retry(fault: Fault): void {
    fault.retried = true;
    this.retried[fault.how]!++;
  }
}
