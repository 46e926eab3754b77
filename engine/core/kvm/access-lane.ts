/**
 * The fast lane of a batch of accesses: the fault path of the plain cases in one loop without calls, with the heap
 * in locals. Plain is what a ROM under load meets: tables that exist, a slot of one mapping, a page that the host
 * has mapped, no dirty log, no device. Everything else leaves the lane at the element it is met at, untouched, and
 * goes by kvm/mmu.ts, whose results this has to equal to the last counter (access.test.ts holds both together).
 */
import * as abi from '../../abi.ts';
import * as facts from '../../facts.ts';
import { STEP_INDEX } from '../../steps.ts';
import * as pte from '../host/address-space.ts';
import * as layout from '../vm.ts';
import * as hits from './access-hits.ts';
import {
  type AccessSteps,
  WAY_EFAULT,
  WAY_FIXED,
  WAY_STORE_FAULTED,
  WAY_STORE_REFUSED,
} from './access-steps.ts';
import * as path from './fault-path.ts';
import * as slot from './memslots.ts';
import * as stage2 from './stage2.ts';

// The compiler folds a module's own constants into machine code; imported names it loads and checks at every use.
const { GFN_LIMIT, PAGE_SHIFT } = abi;
const { F_COLD, F_VM_READ, F_VM_WRITE } = facts;
const { PAGE_EXISTS, PAGE_FRAME_SHIFT, PAGE_IN_CACHE, PTE_FACTS, PTE_FRAME_SHIFT } = pte;
const { EV_FAULT, EV_OFFSET_SHIFT, EV_REFUSED, EV_VALUE_SHIFT } = layout;
const { RING, RING_MASK, STEP_COUNTS, TOP, WORDS } = layout;
const { offsetOf, tlbEntryOf } = hits;
const { V_ACTION, V_EFAULT, V_EMULATE, V_HVA_OK, V_MAP, V_WRITABLE } = path;
const { V_FAULT_IN, V_FAULT_IN_WRITE } = path;
const { SLOT_BASE_GFN, SLOT_DIRTY, SLOT_FACTS, SLOT_PAGES, SLOT_PTE_OFFSET, SLOT_PTES } = slot;
const { SPTE_FAST_FIXABLE, SPTE_FRAME_SHIFT, SPTE_HOST_WRITABLE, SPTE_MMIO } = stage2;
const { SPTE_MMU_WRITABLE, SPTE_PRESENT, SPTE_WRITE } = stage2;

const STAGE2_MAP = STEP_COUNTS + STEP_INDEX['stage2-map'];
/** In the TLB's write tag, beside the page: its refusal is remembered, under the fault word in the fourth int. */
const REFUSED = 0x80000000 | 0;
const WRITABLE = SPTE_WRITE | SPTE_HOST_WRITABLE | SPTE_MMU_WRITABLE;
/** A slot's facts whose pages have ptes of one table: known (not -1), and readable. */
const PLAIN_FACTS = 0x80000000 | F_VM_READ;

/** An emulated store to this page would come to nothing: no address for a write, or memory that forbids it. */
const refusesCopy = (word: number, verdict: number): boolean =>
  (verdict & V_HVA_OK) === 0 || (word & F_VM_WRITE) === 0;

const refuses = (word: number, verdict: number, write: number): boolean =>
  write !== 0 &&
  ((verdict & V_ACTION) === V_EFAULT || ((verdict & V_ACTION) === V_EMULATE && refusesCopy(word, verdict)));

/** Is this fault a store that leaves the guest, and nothing more? */
export const isRefusal = refuses;

/** Element i of the batch is a refused store: fault and exit are one event, at `at` of the ring. */
function recordRefusal(
  h: Int32Array,
  at: number,
  word: number,
  verdict: number,
  gfn: number,
  i: number,
): void {
  h[at] = EV_REFUSED | ((i & 0xff) << EV_VALUE_SHIFT);
  h[at + 1] = word;
  h[at + 2] = gfn;
  h[at + 3] = verdict | (offsetOf(i) << EV_OFFSET_SHIFT);
}

function recordFault(h: Int32Array, at: number, word: number, verdict: number, gfn: number): void {
  h[at] = EV_FAULT;
  h[at + 1] = word;
  h[at + 2] = gfn;
  h[at + 3] = verdict;
}

/** Keeps a refusal in the write tag of a page that can be read, beside its read tag. */
function rememberRefusal(h: Int32Array, e: number, gfn: number, spte: number, word: number): void {
  h[e] = gfn;
  h[e + 1] = gfn | REFUSED;
  h[e + 2] = (spte >>> SPTE_FRAME_SHIFT) << PAGE_SHIFT;
  h[e + 3] = word;
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

/**
 * The page of a plain slot that has no pte: the word it adds to, F_COLD or 0, or -1 if it is none that the lane can
 * fault in: a memfd's page that exists, in a table that exists.
 */
function absentFacts(h: Int32Array, record: number, gfn: number): number {
  if (record === 0 || (h[record + SLOT_FACTS]! & PLAIN_FACTS) !== F_VM_READ) return -1;
  const pages = h[record + SLOT_PAGES]!;
  const page = (gfn - h[record + SLOT_BASE_GFN]! + h[record + SLOT_PTE_OFFSET]!) | 0;
  if (pages === 0 || h[h[record + SLOT_PTES]! + (page >>> 9)] === 0) return -1;
  const leaf = h[pages + (page >>> 9)]!;
  const entry = leaf === 0 ? 0 : h[leaf + (page & 511)]!;
  if ((entry & PAGE_EXISTS) === 0) return -1;
  return (entry & PAGE_IN_CACHE) === 0 ? F_COLD : 0;
}

/** A store faults such a page in: back into the page cache, and a pte that allows it. */
function faultInForWrite(h: Int32Array, record: number, gfn: number): number {
  const page = (gfn - h[record + SLOT_BASE_GFN]! + h[record + SLOT_PTE_OFFSET]!) | 0;
  const entryAt = h[h[record + SLOT_PAGES]! + (page >>> 9)]! + (page & 511);
  const entry = h[entryAt]! | PAGE_IN_CACHE;
  h[entryAt] = entry;
  const hostPte = ((entry >>> PAGE_FRAME_SHIFT) << PTE_FRAME_SHIFT) | PTE_FACTS;
  h[h[h[record + SLOT_PTES]! + (page >>> 9)]! + (page & 511)] = hostPte;
  return hostPte;
}

/** The entry that a verdict allows over a host pte: kvm/mmu.ts, makeSpte(). */
const entryOf = (pte: number, verdict: number): number =>
  ((pte >>> PTE_FRAME_SHIFT) << SPTE_FRAME_SHIFT) |
  ((verdict & V_WRITABLE) !== 0 ? SPTE_PRESENT | WRITABLE : SPTE_PRESENT);

/** Verdicts that the lane counts apart: the action, and whether the emulator would get an address. */
const KINDS = 16;
const kindOf = (verdict: number): number =>
  (verdict & V_ACTION) | ((verdict & V_HVA_OK) !== 0 ? KINDS / 2 : 0);

/** How an access ends that met a verdict of each kind. */
const WAY_OF_KIND: readonly (readonly [kind: number, way: number])[] = [
  [V_MAP, WAY_FIXED],
  [V_MAP | (KINDS / 2), WAY_FIXED],
  [V_EMULATE, WAY_STORE_REFUSED],
  [V_EMULATE | (KINDS / 2), WAY_STORE_FAULTED],
  [V_EFAULT, WAY_EFAULT],
  [V_EFAULT | (KINDS / 2), WAY_EFAULT],
];

/**
 * The lane of one machine. Its loops call nothing, so that the compiler keeps the heap's base in a register: they
 * stop when the event ring is full, and it is emptied between them.
 */
export class AccessLane {
  readonly #vm: layout.Vm;
  readonly #remember: boolean;
  /** Offset of the counts by kind of verdict. */
  readonly #kinds: number;
  /** What the last run() read, added up. */
  sum = 0;

  constructor(vm: layout.Vm, remember: boolean) {
    this.#vm = vm;
    this.#remember = remember;
    this.#kinds = vm.alloc(KINDS);
  }

  /** Hands its counts over, and says how many exits they were. */
  settle(steps: AccessSteps): number {
    const { h } = this.#vm;
    let exits = 0;
    for (const [kind, way] of WAY_OF_KIND) {
      const times = h[this.#kinds + kind]!;
      if (times === 0) continue;
      h[this.#kinds + kind] = 0;
      steps.add(way, times);
      if (way === WAY_FIXED) h[STAGE2_MAP]! += times;
      else exits += times;
    }
    return exits;
  }

  #endRing(ring: number): void {
    this.#vm.ringAt = ring & RING_MASK;
    if (ring > RING_MASK) this.#vm.foldRing();
  }

  /** Stores whose refusal is remembered, all under one word, from `from` on; returns the first that is not, or n. */
  replay(list: Int32Array, mask: number, from: number, n: number): number {
    const { h, verdicts, ringAt } = this.#vm;
    const word = h[tlbEntryOf(list[from & mask]!) + 3]!;
    if (h[tlbEntryOf(list[from & mask]!) + 1]! >= -1) return from;
    const verdict = verdicts[word]!;
    let ring = ringAt;
    let i = from;
    for (; i < n && ring <= RING_MASK; i = (i + 1) | 0) {
      const gfn = list[i & mask]!;
      const e = tlbEntryOf(gfn);
      if (((h[e + 1]! ^ (gfn | REFUSED)) | (h[e + 3]! ^ word)) !== 0) break;
      recordRefusal(h, (RING + ring) | 0, word, verdict, gfn, i);
      ring = (ring + 4) | 0;
    }
    h[WORDS + word]! += i - from;
    h[this.#kinds + kindOf(verdict)]! += i - from;
    this.#endRing(ring);
    return i;
  }

  /** Serves elements that miss the TLB from `from` on; returns the first that hits, or is not plain, or n. */
  run(list: Int32Array, mask: number, from: number, n: number, write: number): number {
    const { h, mem, verdicts, codeVersions, ringAt } = this.#vm;
    const kinds = this.#kinds;
    const remember = this.#remember;
    const need = write !== 0 ? SPTE_PRESENT | SPTE_WRITE : SPTE_PRESENT;
    let ring = ringAt;
    let sum = 0;
    let i = from;
    for (; i < n && ring <= RING_MASK; i = (i + 1) | 0) {
      const gfn = list[i & mask]!;
      const e = tlbEntryOf(gfn);
      const tag = h[e + write]!;
      if (tag === gfn || tag === (gfn | REFUSED) || gfn >= GFN_LIMIT) break;
      const region = regionIn(h, gfn);
      const leaf = region === 0 ? 0 : h[region]!;
      if (leaf === 0) break;
      let spte = h[leaf + (gfn & 511)]!;
      if ((spte & need) !== need) {
        if ((spte & SPTE_MMIO) !== 0 || (spte & SPTE_FAST_FIXABLE) === SPTE_FAST_FIXABLE) break;
        const record = recordIn(h, region, gfn);
        let hostPte = plainPte(h, record, gfn);
        const residency = hostPte !== 0 ? hostPte & PTE_FACTS : absentFacts(h, record, gfn);
        if (residency < 0) break;
        const word = h[record + SLOT_FACTS]! | residency | write;
        const verdict = verdicts[word]!;
        if (refuses(word, verdict, write)) {
          h[WORDS + word]!++;
          h[kinds + kindOf(verdict)]!++;
          recordRefusal(h, RING + ring, word, verdict, gfn, i);
          ring = (ring + 4) | 0;
          if (remember && (spte & SPTE_PRESENT) !== 0) rememberRefusal(h, e, gfn, spte, word);
          continue;
        }
        const logs = (verdict & V_WRITABLE) !== 0 && h[record + SLOT_DIRTY] !== 0;
        const faultIn = verdict & (V_FAULT_IN | V_FAULT_IN_WRITE);
        const isMap = (verdict & V_ACTION) === V_MAP && (write === 0 || (verdict & V_WRITABLE) !== 0);
        if (!isMap || logs || faultIn === V_FAULT_IN || (faultIn !== 0) !== (hostPte === 0)) break;
        if (hostPte === 0) hostPte = faultInForWrite(h, record, gfn);
        spte = entryOf(hostPte, verdict);
        h[leaf + (gfn & 511)] = spte;
        h[WORDS + word]!++;
        h[kinds + kindOf(verdict)]!++;
        recordFault(h, RING + ring, word, verdict, gfn);
        ring = (ring + 4) | 0;
      }
      const frame = spte >>> SPTE_FRAME_SHIFT;
      if (codeVersions[frame] !== 0) break;
      const at = frame << PAGE_SHIFT;
      h[e] = gfn;
      h[e + 1] = (spte & SPTE_WRITE) !== 0 ? gfn : -1;
      h[e + 2] = at;
      if (write === 0) sum = (sum + mem[at + offsetOf(i)]!) | 0;
      else mem[at + offsetOf(i)] = i;
    }
    this.sum = sum;
    this.#endRing(ring);
    return i;
  }
}
