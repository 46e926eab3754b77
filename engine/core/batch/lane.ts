/**
 * The fast lane of a batch of accesses: the fault path of the plain cases in loops without calls, with the heap in
 * locals. Plain is what a ROM under load meets: tables that exist, a slot of one mapping, a page that the host has
 * mapped or can read back, no dirty log. Everything else leaves the lane at the element it is met at, untouched, and
 * goes by kvm/mmu.ts, whose results this has to equal to the last counter (access.test.ts holds both together).
 */
import * as abi from '../../abi.ts';
import * as exits from '../../exits.ts';
import * as facts from '../../facts.ts';
import { STEP_INDEX } from '../../steps.ts';
import * as pte from '../host/mapping.ts';
import { HOW_MMIO } from '../kvm/fault/fault.ts';
import * as path from '../kvm/fault/fault-path.ts';
import type { Mmu } from '../kvm/paging/mmu.ts';
import * as stage2 from '../kvm/paging/stage2.ts';
import * as slot from '../kvm/slots/memslots.ts';
import * as layout from '../vm.ts';
import * as hits from './hits.ts';
import * as plain from './plain.ts';
import * as ways from './ways.ts';

// The compiler folds a module's own constants into machine code; imported names it loads and checks at every use.
const { PAGE_SHIFT } = abi;
const { KVM_EXIT_MMIO } = exits;
const { F_WRITE } = facts;
const { PAGE_FRAME_SHIFT, PAGE_IN_CACHE, PTE_FACTS, PTE_FRAME_SHIFT } = pte;
const { EV_EXIT, EV_OFFSET_SHIFT, EV_VALUE_SHIFT, RING, RING_MASK, STEP_COUNTS, WORDS } = layout;
const { offsetOf, tlbEntryOf } = hits;
const { REFUSED, coldPage, entryOf, fillTlb, isPlain, isRefusal, leafIn, plainPte, recordFault, recordIn } =
  plain;
const { recordRefusal, regionIn, rememberRefusal, setPlainPte } = plain;
const { V_ACTION, V_MAP, V_WRITABLE } = path;
const { V_FAULT_IN, V_FAULT_IN_WRITE } = path;
const { SLOT_BASE_GFN, SLOT_DIRTY, SLOT_FACTS, SLOT_PTE_OFFSET, SLOT_PTES } = slot;
const { MMIO_GEN_MASK, SPTE_FRAME_SHIFT, SPTE_MMIO, SPTE_MMU_WRITABLE, SPTE_PRESENT, SPTE_WRITE } = stage2;

const { KINDS, KIND_DEVICE_LOAD, KIND_DEVICE_STORE, KIND_PRESENT, WAY_FIXED, WAY_OF_KIND, kindOf } = ways;

const STAGE2_MAP = STEP_COUNTS + STEP_INDEX['stage2-map'];
const FAST_PAGE_FAULT = STEP_COUNTS + STEP_INDEX['fast-page-fault'];
const HOST_IO = STEP_COUNTS + STEP_INDEX['host-io'];
/** What a load from a device gives. */
const NO_DEVICE = 0xff;

/** The verdict of a store that the host reads a page in for. */
const COLD_STORE = V_MAP | V_WRITABLE | V_FAULT_IN | V_FAULT_IN_WRITE;

/**
 * The lane of one machine: a loop for each thing that happens many times in a row. Each serves elements from `from`
 * on and returns the first that is not its own, or n. The loops are small and call nothing, so that the compiler
 * keeps the heap's base in a register; they stop when the event ring is full, and it is emptied between them.
 */
export class Lane {
  readonly #vm: layout.Vm;
  readonly #mmu: Mmu;
  readonly #remember: boolean;
  /** Offset of the counts by kind of verdict. */
  readonly #kinds: number;
  /** What the last call read, added up. */
  sum = 0;

  constructor(mmu: Mmu, remember: boolean) {
    const { vm } = mmu;
    this.#vm = vm;
    this.#mmu = mmu;
    this.#remember = remember;
    this.#kinds = vm.alloc(KINDS);
  }

  /** Hands its counts over, and says how many exits they were. */
  settle(steps: ways.WayCounts): number {
    const { h } = this.#vm;
    let exits = 0;
    for (const [kind, way] of WAY_OF_KIND) {
      const times = h[this.#kinds + kind]!;
      if (times === 0) continue;
      h[this.#kinds + kind] = 0;
      steps.add(way, times);
      if ((kind & KIND_PRESENT) !== 0) h[FAST_PAGE_FAULT]! += times;
      if (way === WAY_FIXED) h[STAGE2_MAP]! += times;
      else exits += times;
    }
    return exits;
  }

  #endRing(ring: number): void {
    this.#vm.ringAt = ring & RING_MASK;
    if (ring > RING_MASK) this.#vm.ringFull();
  }

  /** Stores whose refusal is remembered, all under one word. */
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
    h[this.#kinds + kindOf(verdict, SPTE_PRESENT)]! += i - from;
    this.#endRing(ring);
    return i;
  }

  /** Accesses that miss the TLB and that stage 2 allows. */
  fills(list: Int32Array, mask: number, from: number, n: number, write: number): number {
    const { h, mem, codeVersions } = this.#vm;
    const need = write !== 0 ? SPTE_PRESENT | SPTE_WRITE : SPTE_PRESENT;
    let sum = 0;
    let i = from;
    for (; i < n; i = (i + 1) | 0) {
      const gfn = list[i & mask]!;
      const e = tlbEntryOf(gfn);
      const leaf = h[e + write] === gfn ? 0 : leafIn(h, gfn);
      const spte = leaf === 0 ? 0 : h[leaf + (gfn & 511)]!;
      const frame = spte >>> SPTE_FRAME_SHIFT;
      if ((spte & need) !== need || codeVersions[frame] !== 0) break;
      const at = frame << PAGE_SHIFT;
      fillTlb(h, e, gfn, (spte & SPTE_WRITE) !== 0 ? gfn : -1, at);
      if (write === 0) sum = (sum + mem[at + offsetOf(i)]!) | 0;
      else mem[at + offsetOf(i)] = i;
    }
    this.sum = sum;
    return i;
  }

  /** Stores that are refused, decided one by one. Tables and slot are looked up when they change, as a kernel does. */
  refusals(list: Int32Array, mask: number, from: number, n: number): number {
    const { h, verdicts, ringAt } = this.#vm;
    const kinds = this.#kinds;
    const remember = this.#remember;
    let ring = ringAt;
    // The last gfn's 2 MiB, its entries and slots; the last slot's facts, directory of ptes and way into it.
    let large = -1;
    let leaf = 0;
    let slots = 0;
    let last = 0;
    let facts = 0;
    let ptes = 0;
    let shift = 0;
    let i = from;
    for (; i < n && ring <= RING_MASK; i = (i + 1) | 0) {
      const gfn = list[i & mask]!;
      const e = tlbEntryOf(gfn);
      const tag = h[e + 1]!;
      if (tag === gfn || tag === (gfn | REFUSED)) break;
      if (gfn >>> 9 !== large) {
        const region = regionIn(h, gfn);
        large = gfn >>> 9;
        leaf = region === 0 ? 0 : h[region]!;
        slots = region === 0 ? 0 : h[region + 1]!;
      }
      const spte = leaf === 0 ? SPTE_MMIO : h[leaf + (gfn & 511)]!;
      if ((spte & (SPTE_WRITE | SPTE_MMIO | SPTE_MMU_WRITABLE)) !== 0) break;
      const record = slots >= 0 ? slots : h[-slots + (gfn & 511)]!;
      if (record !== last) {
        if (!isPlain(h, record)) break;
        last = record;
        facts = h[record + SLOT_FACTS]!;
        ptes = h[record + SLOT_PTES]!;
        shift = (h[record + SLOT_PTE_OFFSET]! - h[record + SLOT_BASE_GFN]!) | 0;
      }
      if (last === 0) break;
      const page = (gfn + shift) | 0;
      const pteLeaf = h[ptes + (page >>> 9)]!;
      const hostPte = pteLeaf === 0 ? 0 : h[pteLeaf + (page & 511)]!;
      const word = facts | (hostPte & PTE_FACTS) | F_WRITE;
      const verdict = verdicts[word]!;
      if (hostPte === 0 || !isRefusal(word, verdict, F_WRITE)) break;
      h[WORDS + word]!++;
      h[kinds + kindOf(verdict, spte)]!++;
      recordRefusal(h, (RING + ring) | 0, word, verdict, gfn, i);
      ring = (ring + 4) | 0;
      if (remember && (spte & SPTE_PRESENT) !== 0) rememberRefusal(h, e, gfn, spte, word);
    }
    this.#endRing(ring);
    return i;
  }

  /** Faults that make an entry for a page that the host has mapped. */
  maps(list: Int32Array, mask: number, from: number, n: number, write: number): number {
    const { h, mem, verdicts, codeVersions, ringAt } = this.#vm;
    const kinds = this.#kinds;
    const need = write !== 0 ? SPTE_PRESENT | SPTE_WRITE : SPTE_PRESENT;
    let ring = ringAt;
    let sum = 0;
    let i = from;
    for (; i < n && ring <= RING_MASK; i = (i + 1) | 0) {
      const gfn = list[i & mask]!;
      const region = regionIn(h, gfn);
      const leaf = region === 0 ? 0 : h[region]!;
      // A page with an entry of any kind is none of this loop's.
      if (leaf === 0 || h[leaf + (gfn & 511)] !== 0) break;
      const record = recordIn(h, region, gfn);
      const hostPte = plainPte(h, record, gfn);
      if (hostPte === 0) break;
      const word = h[record + SLOT_FACTS]! | (hostPte & PTE_FACTS) | write;
      const verdict = verdicts[word]!;
      const spte = entryOf(hostPte, verdict);
      const frame = spte >>> SPTE_FRAME_SHIFT;
      const logs = (spte & SPTE_WRITE) !== 0 && h[record + SLOT_DIRTY] !== 0;
      if ((verdict & (V_ACTION | V_FAULT_IN)) !== V_MAP || (spte & need) !== need || logs) break;
      if (codeVersions[frame] !== 0) break;
      h[leaf + (gfn & 511)] = spte;
      h[WORDS + word]!++;
      h[kinds + kindOf(verdict, 0)]!++;
      recordFault(h, (RING + ring) | 0, word, verdict, gfn);
      ring = (ring + 4) | 0;
      const at = frame << PAGE_SHIFT;
      fillTlb(h, tlbEntryOf(gfn), gfn, (spte & SPTE_WRITE) !== 0 ? gfn : -1, at);
      if (write === 0) sum = (sum + mem[at + offsetOf(i)]!) | 0;
      else mem[at + offsetOf(i)] = i;
    }
    this.sum = sum;
    this.#endRing(ring);
    return i;
  }

  /** Stores to pages that have no entry because they left the host's memory. */
  coldStores(list: Int32Array, mask: number, from: number, n: number): number {
    const { h, mem, verdicts, codeVersions, ringAt } = this.#vm;
    const kinds = this.#kinds;
    let ring = ringAt;
    let i = from;
    for (; i < n && ring <= RING_MASK; i = (i + 1) | 0) {
      const gfn = list[i & mask]!;
      const e = tlbEntryOf(gfn);
      const region = h[e + 1] === gfn ? 0 : regionIn(h, gfn);
      const leaf = region === 0 ? 0 : h[region]!;
      if (leaf === 0 || h[leaf + (gfn & 511)] !== 0) break;
      const record = recordIn(h, region, gfn);
      const page = coldPage(h, record, gfn);
      if (page === 0) break;
      const word = h[record + SLOT_FACTS]! | F_WRITE;
      const verdict = verdicts[word]!;
      const frame = h[page]! >>> PAGE_FRAME_SHIFT;
      if ((verdict & COLD_STORE) !== COLD_STORE || h[record + SLOT_DIRTY] !== 0 || codeVersions[frame] !== 0)
        break;
      const hostPte = (frame << PTE_FRAME_SHIFT) | PTE_FACTS;
      setPlainPte(h, record, gfn, hostPte);
      h[page]! |= PAGE_IN_CACHE;
      h[HOST_IO]!++;
      h[leaf + (gfn & 511)] = entryOf(hostPte, verdict);
      h[WORDS + word]!++;
      h[kinds + kindOf(verdict, 0)]!++;
      recordFault(h, (RING + ring) | 0, word, verdict, gfn);
      ring = (ring + 4) | 0;
      fillTlb(h, e, gfn, gfn, frame << PAGE_SHIFT);
      mem[(frame << PAGE_SHIFT) + offsetOf(i)] = i;
    }
    this.#endRing(ring);
    return i;
  }

  /** Accesses to pages whose entry says that they are devices. */
  devices(list: Int32Array, mask: number, from: number, n: number, write: number): number {
    const { h, ringAt } = this.#vm;
    const mmu = this.#mmu;
    const current = SPTE_MMIO | ((mmu.generation & MMIO_GEN_MASK) << SPTE_FRAME_SHIFT);
    const stored = write === 0 ? 0 : 0xff;
    const direction = write << EV_OFFSET_SHIFT;
    let ring = ringAt;
    let device = -1;
    let large = -1;
    let leaf = 0;
    let i = from;
    for (; i < n && ring <= RING_MASK; i = (i + 1) | 0) {
      const gfn = list[i & mask]!;
      if (gfn >>> 9 !== large) {
        large = gfn >>> 9;
        leaf = leafIn(h, gfn);
      }
      if (leaf === 0 || h[leaf + (gfn & 511)] !== current || h[tlbEntryOf(gfn) + write] === gfn) break;
      device = gfn;
      const at = (RING + ring) | 0;
      h[at] = EV_EXIT;
      h[at + 1] = KVM_EXIT_MMIO | ((i & stored) << EV_VALUE_SHIFT);
      h[at + 2] = gfn;
      h[at + 3] = offsetOf(i) | direction;
      ring = (ring + 4) | 0;
    }
    if (device >= 0) {
      mmu.cacheMmio(device * 4096, device);
      mmu.taken.hows[HOW_MMIO]! += i - from;
      h[this.#kinds + (write === 0 ? KIND_DEVICE_LOAD : KIND_DEVICE_STORE)]! += i - from;
    }
    this.sum = write === 0 ? (i - from) * NO_DEVICE : 0;
    this.#endRing(ring);
    return i;
  }
}
