/**
 * Entries of 2 MiB: where KVM may map 512 pages at once (kvm_mmu_hugepage_adjust() and host_pfn_mapping_level() of Linux
 * 6.1). Here such an entry is 512 entries that say so (SPTE_LARGE), are made by one fault and go together.
 */
import { PAGE_SIZE } from '../../../abi.ts';
import { mapsHuge, PTE_FRAME_SHIFT } from '../../host/mapping.ts';
import type { Vm } from '../../vm.ts';
import { slotRecordOf } from '../slots/gfn-index.ts';
import { type Memslot, type Memslots, SLOT_DIRTY, SLOT_LARGE } from '../slots/memslots.ts';
import { LARGE_PAGES, SPTE_FRAME_SHIFT, SPTE_LARGE, SPTE_PRESENT, type Stage2, spteOf } from './stage2.ts';

/** The parts of an MMU that large entries are made with. */
interface Tables {
  readonly vm: Vm;
  readonly slots: Memslots;
  readonly stage2: Stage2;
}

/** The rest of an entry when its frame is taken out. */
const RIGHTS = (1 << SPTE_FRAME_SHIFT) - 1;

/**
 * kvm_mmu_max_mapping_level(): the whole 2 MiB lie in the slot, guest and host address are alike within them, and the
 * host maps them with one entry.
 */
function mayBeLarge(slot: Memslot, gfn: number): boolean {
  const { mapping, baseGfn, npages } = slot;
  if (mapping === undefined) return false;
  const hvn = slot.userspaceAddr / PAGE_SIZE;
  const first = gfn - (gfn % LARGE_PAGES);
  if (baseGfn % LARGE_PAGES !== hvn % LARGE_PAGES) return false;
  if (first < baseGfn || first + LARGE_PAGES > baseGfn + npages) return false;
  return mapsHuge(mapping, hvn + gfn - baseGfn - mapping.startHvn);
}

/** Makes a large entry with the rights of `spte`, the small one for `gfn`, if one may be made there. */
export function mapLarge(mmu: Tables, gfn: number, spte: number): boolean {
  const { vm } = mmu;
  const record = slotRecordOf(vm, gfn);
  if (vm.h[record + SLOT_LARGE] === 0 || vm.h[record + SLOT_DIRTY] !== 0) return false;
  const slot = mmu.slots.slotOfRecord(record)!;
  if (!mayBeLarge(slot, gfn)) return false;
  const { ptes, startHvn } = slot.mapping!;
  const first = gfn - (gfn % LARGE_PAGES);
  const page = slot.userspaceAddr / PAGE_SIZE + first - slot.baseGfn - startHvn;
  for (let i = 0; i < LARGE_PAGES; i++) {
    const frame = vm.tableGet(ptes, page + i) >>> PTE_FRAME_SHIFT;
    mmu.stage2.set(first + i, (frame << SPTE_FRAME_SHIFT) | (spte & RIGHTS) | SPTE_LARGE);
  }
  return true;
}

/** kvm_mmu_zap_collapsible_sptes(): small entries go where a large one could be, so that the next fault makes it. */
export function zapCollapsible(mmu: Tables, slot: Memslot): void {
  if (mmu.vm.h[slot.record + SLOT_LARGE] === 0) return;
  for (let gfn = slot.baseGfn; gfn < slot.baseGfn + slot.npages; gfn++) {
    const spte = spteOf(mmu.vm, gfn);
    if ((spte & SPTE_PRESENT) === 0 || (spte & SPTE_LARGE) !== 0 || !mayBeLarge(slot, gfn)) continue;
    mmu.stage2.zap(gfn - (gfn % LARGE_PAGES), LARGE_PAGES);
  }
}
