/** KVM's own way to guest memory: through the slot to the VMM's mapping, like all user memory. */
import { GFN_LIMIT, PAGE_SIZE } from '../../../abi.ts';
import { F_WRITE } from '../../../facts.ts';
import { V_HVA_OK } from '../fault/fault-path.ts';
import type { Mmu } from '../paging/mmu.ts';
import { slotRecordOf } from './gfn-index.ts';

/** gfn_to_hva() for write: does the slot, as this series reads it, give an address at all? */
export function givesHva(mmu: Mmu, gfn: number): boolean {
  if (gfn >= GFN_LIMIT || slotRecordOf(mmu.vm, gfn) === 0) return false;
  return (mmu.vm.verdicts[mmu.wordOf(gfn, F_WRITE)]! & V_HVA_OK) !== 0;
}

/**
 * The frame through which KVM itself reads or writes guest memory (kvm_read_guest_page(), kvm_write_guest_page()):
 * -1 where there is no slot, the slot forbids it, or the host does.
 */
export function guestFrame(mmu: Mmu, gfn: number, write: boolean): number {
  const record = gfn < GFN_LIMIT ? slotRecordOf(mmu.vm, gfn) : 0;
  if (record === 0) return -1;
  const verdict = mmu.vm.verdicts[mmu.wordOf(gfn, write ? F_WRITE : 0)]!;
  if ((verdict & V_HVA_OK) === 0) return -1;
  const slot = mmu.slots.slotOfRecord(record)!;
  const frame = mmu.host.userFrame(slot.userspaceAddr / PAGE_SIZE + gfn - slot.baseGfn, write);
  if (frame >= 0 && write) {
    mmu.slots.markDirty(record, gfn);
    mmu.vm.touchCode(frame);
  }
  return frame;
}
