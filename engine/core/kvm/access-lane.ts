/**
 * The fast lane of a batch of accesses: the fault path of the plain cases in one loop without calls, with the heap
 * in locals. Plain is what a ROM under load meets: tables that exist, a slot of one mapping, a page that the host
 * has mapped, no dirty log, no device. Everything else leaves the lane at the element it is met at, untouched, and
 * goes by kvm/mmu.ts, whose results this has to equal to the last counter (access.test.ts holds both together).
 */
import { GFN_LIMIT, PAGE_SHIFT } from '../../abi.ts';
import { F_VM_READ, F_VM_WRITE } from '../../facts.ts';
import { STEP_INDEX } from '../../steps.ts';
import { PTE_FACTS, PTE_FRAME_SHIFT } from '../host/address-space.ts';
import {
  EV_FAULT,
  EV_REFUSED,
  EV_VERDICT_SHIFT,
  EV_WORD_SHIFT,
  STEP_COUNTS,
  TOP,
  type Vm,
  WORDS,
} from '../vm.ts';
import { offsetOf, tlbEntryOf } from './access-hits.ts';
import { type AccessSteps, WAY_EFAULT, WAY_FIXED, WAY_STORE_REFUSED } from './access-steps.ts';
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
/** In the TLB's write tag, beside the page: its refusal is remembered, under the fault word in the fourth int. */
const REFUSED = 0x80000000 | 0;
const WRITABLE = SPTE_WRITE | SPTE_HOST_WRITABLE | SPTE_MMU_WRITABLE;
/** A slot's facts whose pages have ptes of one table: known (not -1), and readable. */
const PLAIN_FACTS = 0x80000000 | F_VM_READ;

/** An emulated store to this page would come to nothing: no address for a write, or memory that forbids it. */
export const refusesCopy = (word: number, verdict: number): boolean =>
  (verdict & V_HVA_OK) === 0 || (word & F_VM_WRITE) === 0;

/** Is this fault a store that leaves the guest, and nothing more? */
export const isRefusal = (word: number, verdict: number, write: number): boolean =>
  write !== 0 &&
  ((verdict & V_ACTION) === V_EFAULT || ((verdict & V_ACTION) === V_EMULATE && refusesCopy(word, verdict)));

/** A refused store: fault and exit in one event. */
export function recordRefusal(
  vm: Vm,
  word: number,
  verdict: number,
  gfn: number,
  off: number,
  value: number,
): void {
  vm.record(EV_REFUSED | (word << EV_WORD_SHIFT), gfn, off | (verdict << EV_VERDICT_SHIFT), value & 0xff);
}

/** Offset of the 512 stage-2 entries around a gfn with the slot's record beside them; 0 where nothing is yet. */
const regionIn = (h: Int32Array, gfn: number): number => {
  const mid = h[TOP + (gfn >>> 18)]!;
  return mid === 0 ? 0 : (mid + ((gfn >>> 9) & 511) * 2) | 0;
};

/** The record of the slot around a gfn, from its region; 0 for none. */
const recordIn = (h: Int32Array, region: number, gfn: number): number => {
  const record = h[region + 1]!;
  return record >= 0 ? record : h[-record + (gfn & 511)]!;
};

/** The host pte of a page whose slot has one mapping that may be read; 0 if it has none, or the slot is not so. */
function plainPte(h: Int32Array, record: number, gfn: number): number {
  if (record === 0 || (h[record + SLOT_FACTS]! & PLAIN_FACTS) !== F_VM_READ) return 0;
  const page = (gfn - h[record + SLOT_BASE_GFN]! + h[record + SLOT_PTE_OFFSET]!) | 0;
  const leaf = h[h[record + SLOT_PTES]! + (page >>> 9)]!;
  return leaf === 0 ? 0 : h[leaf + (page & 511)]!;
}

/** The entry that a verdict allows over a host pte: kvm/mmu.ts, makeSpte(). */
const entryOf = (pte: number, verdict: number): number =>
  ((pte >>> PTE_FRAME_SHIFT) << SPTE_FRAME_SHIFT) |
  ((verdict & V_WRITABLE) !== 0 ? SPTE_PRESENT | WRITABLE : SPTE_PRESENT);

/** The lane of one machine, with what it did since its counts were last taken. */
export class AccessLane {
  readonly #vm: Vm;
  readonly #remember: boolean;
  /** Faults that made an entry; stores that left as MMIO; -EFAULTs. */
  fixed = 0;
  refused = 0;
  efaults = 0;
  /** What the last run() read, added up. */
  sum = 0;

  constructor(vm: Vm, remember: boolean) {
    this.#vm = vm;
    this.#remember = remember;
  }

  /** Exits since the counts were last taken. */
  get exits(): number {
    return this.refused + this.efaults;
  }

  /** Hands its counts over, and says how many exits they were. */
  settle(steps: AccessSteps): number {
    const { exits } = this;
    steps.add(WAY_FIXED, this.fixed);
    steps.add(WAY_STORE_REFUSED, this.refused);
    steps.add(WAY_EFAULT, this.efaults);
    this.fixed = 0;
    this.refused = 0;
    this.efaults = 0;
    return exits;
  }

  /** Element i is refused: its events and counts, and an entry in the write tag if refusals are remembered. */
  #refuse(word: number, gfn: number, i: number, spte: number): void {
    const vm = this.#vm;
    const verdict = vm.verdicts[word]!;
    vm.h[WORDS + word]!++;
    if ((verdict & V_ACTION) === V_EFAULT) this.efaults = (this.efaults + 1) | 0;
    else this.refused = (this.refused + 1) | 0;
    recordRefusal(vm, word, verdict, gfn, offsetOf(i), i);
    if (this.#remember && (spte & SPTE_PRESENT) !== 0) {
      const e = tlbEntryOf(gfn);
      vm.h[e] = gfn;
      vm.h[e + 1] = gfn | REFUSED;
      vm.h[e + 2] = (spte >>> SPTE_FRAME_SHIFT) << PAGE_SHIFT;
      vm.h[e + 3] = word;
    }
  }

  /** Refused stores whose refusal is remembered, from element `from` on; the first that is not, or n. */
  replay(list: Int32Array, mask: number, from: number, n: number): number {
    const vm = this.#vm;
    const h = vm.h;
    let i = from;
    for (; i < n; i = (i + 1) | 0) {
      const gfn = list[i & mask]!;
      const e = tlbEntryOf(gfn);
      if (h[e + 1] !== (gfn | REFUSED)) break;
      this.#refuse(h[e + 3]!, gfn, i, 0);
    }
    return i;
  }

  /**
   * Serves elements that miss the TLB from `from` on; returns the first that hits, or is not plain, or n.
   */
  run(list: Int32Array, mask: number, from: number, n: number, write: number): number {
    const vm = this.#vm;
    const h = vm.h;
    const mem = vm.mem;
    const need = write !== 0 ? SPTE_PRESENT | SPTE_WRITE : SPTE_PRESENT;
    let sum = 0;
    let i = from;
    for (; i < n; i = (i + 1) | 0) {
      const gfn = list[i & mask]!;
      const e = tlbEntryOf(gfn);
      const tag = h[e + write]!;
      const miss = tag !== gfn && tag !== (gfn | REFUSED) && gfn < GFN_LIMIT;
      const region = miss ? regionIn(h, gfn) : 0;
      const leaf = region === 0 ? 0 : h[region]!;
      if (leaf === 0) break;
      let spte = h[leaf + (gfn & 511)]!;
      if ((spte & need) !== need) {
        if ((spte & SPTE_MMIO) !== 0 || (spte & SPTE_FAST_FIXABLE) === SPTE_FAST_FIXABLE) break;
        const record = recordIn(h, region, gfn);
        const pte = plainPte(h, record, gfn);
        if (pte === 0) break;
        const word = h[record + SLOT_FACTS]! | (pte & PTE_FACTS) | write;
        const verdict = vm.verdicts[word]!;
        if (isRefusal(word, verdict, write)) {
          this.#refuse(word, gfn, i, spte);
          continue;
        }
        spte = entryOf(pte, verdict);
        const logs = (spte & SPTE_WRITE) !== 0 && h[record + SLOT_DIRTY] !== 0;
        if ((verdict & (V_ACTION | V_FAULT_IN)) !== V_MAP || (spte & need) !== need || logs) break;
        h[leaf + (gfn & 511)] = spte;
        h[WORDS + word]!++;
        h[STAGE2_MAP]!++;
        this.fixed = (this.fixed + 1) | 0;
        vm.record(EV_FAULT, word, gfn, verdict);
      }
      const frame = spte >>> SPTE_FRAME_SHIFT;
      if (vm.codeVersions[frame] !== 0) break;
      const at = frame << PAGE_SHIFT;
      h[e] = gfn;
      h[e + 1] = (spte & SPTE_WRITE) !== 0 ? gfn : -1;
      h[e + 2] = at;
      if (write === 0) sum = (sum + mem[at + offsetOf(i)]!) | 0;
      else mem[at + offsetOf(i)] = i;
    }
    this.sum = sum;
    return i;
  }
}
