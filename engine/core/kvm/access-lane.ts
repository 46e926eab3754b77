/**
 * The fast lane of a batch of accesses: the fault path of the plain cases in one loop without calls, with the heap
 * in locals. Plain is what a ROM under load meets: tables that exist, a slot of one mapping, a page that the host
 * has mapped, no dirty log, no device. Everything else leaves the lane at the element it is met at, untouched, and
 * goes by kvm/mmu.ts, whose results this has to equal to the last counter (access.test.ts holds both together).
 */
import { GFN_LIMIT, PAGE_SHIFT } from '../../abi.ts';
import { F_PTE_PRESENT, F_VM_READ, F_VM_WRITE } from '../../facts.ts';
import { STEP_INDEX } from '../../steps.ts';
import { PTE_FACTS, PTE_FRAME_SHIFT } from '../host/address-space.ts';
import {
  EV_FAULT,
  EV_REFUSED,
  EV_VERDICT_SHIFT,
  EV_WORD_SHIFT,
  RING,
  RING_MASK,
  STEP_COUNTS,
  TLB,
  TLB_ENTRIES,
  TOP,
  type Vm,
  WORDS,
} from '../vm.ts';
import { V_ACTION, V_EFAULT, V_EMULATE, V_FAULT_IN, V_HVA_OK, V_MAP, V_WRITABLE } from './fault-path.ts';
import { SLOT_BASE_GFN, SLOT_DIRTY, SLOT_FACTS, SLOT_PTE_OFFSET, SLOT_PTES } from './memslots.ts';
import {
  SPTE_FAST_FIXABLE,
  SPTE_FRAME_SHIFT,
  SPTE_HOST_WRITABLE,
  SPTE_MMIO,
  SPTE_MMU_WRITABLE,
  SPTE_PRESENT,
  SPTE_WRITE,
} from './stage2.ts';

const STAGE2_MAP = STEP_COUNTS + STEP_INDEX['stage2-map'];
const TLB_MASK = TLB_ENTRIES - 1;
/** Offset of element i in its page: pages are met all over, and no two neighbours alike. */
const STRIDE = 67;
const OFFSET_MASK = 4095;
/** In the TLB's write tag, beside the page: its refusal is remembered, under the fault word in the fourth int. */
const REFUSED = 0x80000000 | 0;
const WRITABLE_SPTE = SPTE_WRITE | SPTE_HOST_WRITABLE | SPTE_MMU_WRITABLE;
/** A slot's facts whose pages have ptes of one table: known (not -1), and readable. */
const PLAIN_FACTS = 0x80000000 | F_VM_READ;

/** Where element i goes in its page. */
export const offsetOf = (i: number): number => Math.imul(i, STRIDE) & OFFSET_MASK;
/** Offset of a page's TLB entry (the hash of kvm/guest-bus.ts). */
export const tlbEntryOf = (gfn: number): number => TLB + (((gfn ^ (gfn >>> 10)) & TLB_MASK) << 2);

/** An emulated store to this page would come to nothing: no address for a write, or memory that forbids it. */
export const refusesCopy = (word: number, verdict: number): boolean =>
  (verdict & V_HVA_OK) === 0 || (word & F_VM_WRITE) === 0;

/** Is this fault a store that leaves the guest, and nothing more? */
export const isRefusal = (word: number, verdict: number, write: number): boolean =>
  (verdict & V_ACTION) === V_EFAULT ||
  ((verdict & V_ACTION) === V_EMULATE && write !== 0 && refusesCopy(word, verdict));

/** Keeps a refusal in the write tag of a page that can be read, beside its read tag. */
export function rememberRefusal(h: Int32Array, word: number, gfn: number, spte: number): void {
  if ((spte & SPTE_PRESENT) === 0) return;
  const e = tlbEntryOf(gfn);
  h[e] = gfn;
  h[e + 1] = gfn | REFUSED;
  h[e + 2] = (spte >>> SPTE_FRAME_SHIFT) << PAGE_SHIFT;
  h[e + 3] = word;
}

/** The fault word of a page whose slot and pte are plain, or -1. */
function plainWord(h: Int32Array, record: number, gfn: number): number {
  const facts = h[record + SLOT_FACTS]!;
  if (record === 0 || (facts & PLAIN_FACTS) !== F_VM_READ) return -1;
  const pte = plainPte(h, record, gfn);
  return pte === 0 ? -1 : facts | (pte & PTE_FACTS);
}

/** The host pte of a page of a plain slot, 0 if there is none. */
function plainPte(h: Int32Array, record: number, gfn: number): number {
  const page = (gfn - h[record + SLOT_BASE_GFN]! + h[record + SLOT_PTE_OFFSET]!) | 0;
  const leaf = h[h[record + SLOT_PTES]! + (page >>> 9)]!;
  return leaf === 0 ? 0 : h[leaf + (page & 511)]!;
}

/** The record of the slot around a gfn, from its region's second int; 0 for none. */
const recordIn = (h: Int32Array, region: number, gfn: number): number => {
  const record = h[region + 1]!;
  return record >= 0 ? record : h[-record + (gfn & 511)]!;
};

/** The lane of one machine, with what it did since its counts were last taken. */
export class AccessLane {
  readonly #vm: Vm;
  readonly #remember: boolean;
  /** Faults that made an entry; stores that left as MMIO; -EFAULTs. */
  fixed = 0;
  refusedStores = 0;
  efaults = 0;

  constructor(vm: Vm, remember: boolean) {
    this.#vm = vm;
    this.#remember = remember;
  }

  /**
   * Serves elements that miss the TLB from `from` on; returns the first that hits, or is not plain, or n. With
   * `once`, stops after the first exit. Loads are not added up: a load ends the lane with its page in the TLB.
   */
  run(list: Int32Array, mask: number, from: number, n: number, write: number, once: boolean): number {
    const vm = this.#vm;
    const h = vm.h;
    const mem = vm.mem;
    const verdicts = vm.verdicts;
    const versions = vm.codeVersions;
    const remember = this.#remember;
    const need = write !== 0 ? SPTE_PRESENT | SPTE_WRITE : SPTE_PRESENT;
    let i = from;
    for (; i < n; i = (i + 1) | 0) {
      const gfn = list[i & mask]!;
      const e = tlbEntryOf(gfn);
      const tag = h[e + write]!;
      if (tag === gfn || gfn >= GFN_LIMIT) return i;
      let spte = 0;
      let word = -1;
      if (tag === (gfn | REFUSED)) word = h[e + 3]!;
      else {
        const mid = h[TOP + (gfn >>> 18)]!;
        const region = (mid + ((gfn >>> 9) & 511) * 2) | 0;
        const leaf = h[region]!;
        if (mid === 0 || leaf === 0) return i;
        spte = h[leaf + (gfn & 511)]!;
        if ((spte & need) !== need) {
          if ((spte & SPTE_MMIO) !== 0 || (spte & SPTE_FAST_FIXABLE) === SPTE_FAST_FIXABLE) return i;
          const record = recordIn(h, region, gfn);
          word = plainWord(h, record, gfn) | write;
          if (word < 0) return i;
          const verdict = verdicts[word]!;
          if ((verdict & (V_ACTION | V_FAULT_IN)) === V_MAP) {
            const rights = (verdict & V_WRITABLE) !== 0 ? WRITABLE_SPTE : 0;
            if (rights !== 0 && h[record + SLOT_DIRTY] !== 0) return i;
            const frame = plainPte(h, record, gfn) >>> PTE_FRAME_SHIFT;
            spte = (frame << SPTE_FRAME_SHIFT) | SPTE_PRESENT | rights;
            h[leaf + (gfn & 511)] = spte;
            h[STAGE2_MAP]!++;
            h[WORDS + word]!++;
            this.fixed = (this.fixed + 1) | 0;
            vm.record(EV_FAULT, word, gfn, verdict);
            if ((spte & need) !== need) return i;
            word = -1;
          } else if (!isRefusal(word, verdict, write)) return i;
          else if (remember && write !== 0) rememberRefusal(h, word, gfn, spte);
        }
      }
    }
    return i;
  }
}
