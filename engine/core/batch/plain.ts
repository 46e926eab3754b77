/**
 * The plain cases of the fault path as small functions over the heap: what the fast lane (lane.ts) is made of.
 * They do what kvm/mmu.ts and host/address-space.ts do where tables exist and nothing special is about a page.
 */
import * as abi from '../../abi.ts';
import * as facts from '../../facts.ts';
import * as pte from '../host/mapping.ts';
import * as path from '../kvm/fault/fault-path.ts';
import * as stage2 from '../kvm/paging/stage2.ts';
import * as slot from '../kvm/slots/memslots.ts';
import * as layout from '../vm.ts';
import * as hits from './hits.ts';

// The compiler folds a module's own constants into machine code; imported names it loads and checks at every use.
const { GFN_LIMIT: LIMIT, PAGE_SHIFT } = abi;
const { F_VM_READ, F_VM_WRITE } = facts;
const { PAGE_EXISTS, PAGE_IN_CACHE, PTE_FRAME_SHIFT } = pte;
const { EV_FAULT, EV_OFFSET_SHIFT, EV_REFUSED, EV_VALUE_SHIFT, TOP } = layout;
const { offsetOf } = hits;
const { V_ACTION, V_EFAULT, V_EMULATE, V_HVA_OK, V_WRITABLE } = path;
const { SLOT_BASE_GFN, SLOT_FACTS, SLOT_PAGES, SLOT_PTE_OFFSET, SLOT_PTES } = slot;
const { SPTE_FRAME_SHIFT, SPTE_HOST_WRITABLE, SPTE_MMU_WRITABLE, SPTE_PRESENT, SPTE_WRITE } = stage2;

/** In the TLB's write tag, beside the page: its refusal is remembered, under the fault word in the fourth int. */
const REFUSED_TAG = 0x80000000 | 0;
export const REFUSED = REFUSED_TAG;
const WRITABLE = SPTE_WRITE | SPTE_HOST_WRITABLE | SPTE_MMU_WRITABLE;
/** A slot's facts whose pages have ptes of one table: known (not -1), and readable. */
const PLAIN_FACTS = 0x80000000 | F_VM_READ;

/** An emulated store to this page would come to nothing: no address for a write, or memory that forbids it. */
const refusesCopy = (word: number, verdict: number): boolean =>
  (verdict & V_HVA_OK) === 0 || (word & F_VM_WRITE) === 0;

/** Is this fault a store that leaves the guest, and nothing more? */
export const isRefusal = (word: number, verdict: number, write: number): boolean =>
  write !== 0 &&
  ((verdict & V_ACTION) === V_EFAULT || ((verdict & V_ACTION) === V_EMULATE && refusesCopy(word, verdict)));

/** Element i of the batch is a refused store: fault and exit are one event, at `at` of the ring. */
export function recordRefusal(
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

/** A fault that made an entry, at `at` of the ring. */
export function recordFault(h: Int32Array, at: number, word: number, verdict: number, gfn: number): void {
  h[at] = EV_FAULT;
  h[at + 1] = word;
  h[at + 2] = gfn;
  h[at + 3] = verdict;
}

/** Keeps a refusal in the write tag of a page that can be read, beside its read tag. */
export function rememberRefusal(h: Int32Array, e: number, gfn: number, spte: number, word: number): void {
  h[e] = gfn;
  h[e + 1] = gfn | REFUSED_TAG;
  h[e + 2] = (spte >>> SPTE_FRAME_SHIFT) << PAGE_SHIFT;
  h[e + 3] = word;
}

/** Writes a TLB entry: the pages it may read and write, and where its frame is. */
export function fillTlb(h: Int32Array, e: number, read: number, write: number, at: number): void {
  h[e] = read;
  h[e + 1] = write;
  h[e + 2] = at;
}

const region = (h: Int32Array, gfn: number): number => {
  const mid = gfn < LIMIT ? h[TOP + (gfn >>> 18)]! : 0;
  return mid === 0 ? 0 : (mid + ((gfn >>> 9) & 511) * 2) | 0;
};

/** The region of a gfn: offset of its 512 stage-2 entries, with the slot's record beside it; 0 if there is none. */
export const regionIn = region;

/** The 512 stage-2 entries around a gfn, 0 if none was ever made. */
export const leafIn = (h: Int32Array, gfn: number): number => {
  const at = region(h, gfn);
  return at === 0 ? 0 : h[at]!;
};

/** The record of the slot around a gfn, from its region; 0 for none. */
export const recordIn = (h: Int32Array, region: number, gfn: number): number => {
  const record = h[region + 1]!;
  return record >= 0 ? record : h[-record + (gfn & 511)]!;
};

const plain = (h: Int32Array, record: number): boolean =>
  record !== 0 && (h[record + SLOT_FACTS]! & PLAIN_FACTS) === F_VM_READ;

/** A slot with one mapping that may be read. */
export const isPlain = plain;

/** The host pte of a page whose slot has one mapping that may be read; 0 if it has none, or the slot is not so. */
export function plainPte(h: Int32Array, record: number, gfn: number): number {
  if (!plain(h, record)) return 0;
  const page = (gfn - h[record + SLOT_BASE_GFN]! + h[record + SLOT_PTE_OFFSET]!) | 0;
  const leaf = h[h[record + SLOT_PTES]! + (page >>> 9)]!;
  return leaf === 0 ? 0 : h[leaf + (page & 511)]!;
}

/**
 * The page of a plain slot that shares a memfd, has no pte and is not in memory: offset of its entry in the memfd's
 * table; 0 if it is no such page.
 */
export function coldPage(h: Int32Array, record: number, gfn: number): number {
  if (!plain(h, record)) return 0;
  const pages = h[record + SLOT_PAGES]!;
  const page = (gfn - h[record + SLOT_BASE_GFN]! + h[record + SLOT_PTE_OFFSET]!) | 0;
  const ptes = h[h[record + SLOT_PTES]! + (page >>> 9)]!;
  if (pages === 0 || ptes === 0 || h[ptes + (page & 511)] !== 0) return 0;
  const leaf = h[pages + (page >>> 9)]!;
  if (leaf === 0) return 0;
  const entry = h[leaf + (page & 511)]! & (PAGE_EXISTS | PAGE_IN_CACHE);
  return entry === PAGE_EXISTS ? leaf + (page & 511) : 0;
}

/** Writes the host pte of a page of a plain slot whose table exists. */
export function setPlainPte(h: Int32Array, record: number, gfn: number, hostPte: number): void {
  const page = (gfn - h[record + SLOT_BASE_GFN]! + h[record + SLOT_PTE_OFFSET]!) | 0;
  h[h[h[record + SLOT_PTES]! + (page >>> 9)]! + (page & 511)] = hostPte;
}

/** The entry that a verdict allows over a host pte: kvm/mmu.ts, makeSpte(). */
export const entryOf = (pte: number, verdict: number): number =>
  ((pte >>> PTE_FRAME_SHIFT) << SPTE_FRAME_SHIFT) |
  ((verdict & V_WRITABLE) !== 0 ? SPTE_PRESENT | WRITABLE : SPTE_PRESENT);
