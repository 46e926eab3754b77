/**
 * direct_pte_prefetch(): without nested paging KVM maps up to seven neighbours of a page it just mapped, if the
 * host has them mapped writable. The TDP MMU has no such thing, so nested guests take a fault a page.
 */
import { GFN_LIMIT } from '../../abi.ts';
import { F_PTE_WRITE, F_WRITE } from '../../facts.ts';
import { STEP_INDEX } from '../../steps.ts';
import { V_ACTION, V_FAULT_IN, V_HVA_OK, V_MAP } from './fault-path.ts';
import { SLOT_DIRTY, slotRecordOf } from './memslots.ts';
import type { Mmu } from './mmu.ts';
import { SPTE_PRESENT, spteOf } from './stage2.ts';

/** Entries looked at, aligned: `PTE_PREFETCH_NUM`. */
const PTE_PREFETCH_NUM = 8;

/** Maps the neighbours of `gfn`; a run of pages ends at the first that the host cannot give at once. */
export function directPtePrefetch(mmu: Mmu, gfn: number): void {
  const first = gfn & ~(PTE_PREFETCH_NUM - 1);
  let failed = false;
  for (let g = first; g < Math.min(first + PTE_PREFETCH_NUM, GFN_LIMIT) && !failed; g++) {
    if ((spteOf(mmu.vm, g) & SPTE_PRESENT) !== 0) continue;
    failed = !prefetchOne(mmu, g);
  }
}

/** One page of gfn_to_page_many_atomic(): no slot, a logged slot, or a page the host has not writable end it. */
function prefetchOne(mmu: Mmu, gfn: number): boolean {
  const record = slotRecordOf(mmu.vm, gfn);
  if (record === 0 || mmu.vm.h[record + SLOT_DIRTY] !== 0) return false;
  const word = mmu.wordOf(gfn, F_WRITE);
  const verdict = mmu.vm.verdicts[word]!;
  if ((word & F_PTE_WRITE) === 0 || (verdict & V_HVA_OK) === 0) return false;
  if ((verdict & V_ACTION) !== V_MAP || (verdict & V_FAULT_IN) !== 0) return false;
  mmu.frame = mmu.mappedFrame(gfn);
  mmu.stage2.set(gfn, mmu.makeSpte(gfn, verdict));
  mmu.vm.count(STEP_INDEX['stage2-map']);
  return true;
}
