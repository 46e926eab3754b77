/**
 * __direct_pte_prefetch(): in its own (not the TDP) MMU KVM maps up to seven neighbours of a page it just mapped,
 * if the host has them mapped writable. The TDP MMU has no such thing, so nested guests take a fault a page.
 */
import { GFN_LIMIT } from '../../../abi.ts';
import { F_PTE_WRITE, F_WRITE } from '../../../facts.ts';
import type { Fault } from '../fault/fault.ts';
import { V_ACTION, V_FAULT_IN, V_HVA_OK, V_MAP, V_WRITABLE } from '../fault/fault-path.ts';
import { SLOT_DIRTY } from '../slots/memslots.ts';
import type { Mmu } from './mmu.ts';
import { SPTE_PRESENT, spteOf } from './stage2.ts';

/** Entries looked at, aligned: `PTE_PREFETCH_NUM`. */
const PTE_PREFETCH_NUM = 8;

/** The table that neighbours are put into. */
export interface PrefetchInto {
  /** The table's entries may be writable (`sp->role.access`). */
  readonly writable: boolean;
  /** There is an entry for the frame already. */
  has(gfn: number): boolean;
  /** Makes one, from a V_MAP verdict whose frame is known. */
  map(neighbour: Fault): void;
}

/** Stage 2 itself: the table of a guest without paging. */
export const intoStage2 = (mmu: Mmu): PrefetchInto => ({
  writable: true,
  has: (gfn) => (spteOf(mmu.vm, gfn) & SPTE_PRESENT) !== 0,
  map: (neighbour) => mmu.map(neighbour),
});

/**
 * Maps the neighbours of a page, a run of absent entries at a time: a run ends early at the first page that the host
 * cannot give at once, and if that is its first page, so does the whole.
 */
export function directPtePrefetch(mmu: Mmu, fault: Fault, into: PrefetchInto): void {
  const first = fault.gfn & ~(PTE_PREFETCH_NUM - 1);
  const end = Math.min(first + PTE_PREFETCH_NUM, GFN_LIMIT);
  for (let g = first; g < end; g++) {
    if (into.has(g)) continue;
    if (!prefetchOne(mmu, fault, g, into)) return;
    // The rest of the run: what cannot be had is passed over up to the next entry that is there.
    let more = true;
    for (g++; g < end && !into.has(g); g++) more = more && prefetchOne(mmu, fault, g, into);
  }
}

/** One page of gfn_to_page_many_atomic(): no slot, a logged slot, or a page the host has not writable end it. */
function prefetchOne(mmu: Mmu, fault: Fault, gfn: number, into: PrefetchInto): boolean {
  const page = mmu.neighbour;
  page.begin(gfn, F_WRITE);
  const word = mmu.lookUp(page);
  if (page.slot === 0 || (into.writable && mmu.vm.h[page.slot + SLOT_DIRTY] !== 0)) return false;
  const verdict = mmu.vm.verdicts[word]!;
  if ((word & F_PTE_WRITE) === 0 || (verdict & V_HVA_OK) === 0) return false;
  if ((verdict & V_ACTION) !== V_MAP || (verdict & V_FAULT_IN) !== 0) return false;
  page.verdict = into.writable ? verdict : verdict & ~V_WRITABLE;
  mmu.faultInFrame(page);
  into.map(page);
  fault.prefetched++;
  return true;
}
