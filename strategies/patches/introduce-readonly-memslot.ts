/**
 * The flag itself: a write to a slot that says KVM_MEM_READONLY finds no address, and the fault is emulated
 * so that the store leaves as an MMIO exit. gup is never asked, so nobody has to guess why it failed.
 */
import {
  BAD_PAGE_EMULATE,
  KVM_HVA_ERR_RO_BAD,
  KVM_PFN_ERR_RO_FAULT,
  type Patch,
} from '../../engine/policy.ts';

export const introduceReadonlyMemslot: Patch = {
  name: 'introduce-readonly-memslot',
  subject: 'a write to a read-only slot is emulated and leaves as an MMIO exit',
  source: 'commit 4d8b81abc47b (KVM: introduce readonly memslot), Linux 3.7',
  apply: (kvm) => ({
    gfnToHva: (f) => (f.write && f.slotReadonly ? KVM_HVA_ERR_RO_BAD : kvm.gfnToHva(f)),
    handleBadPage: (f, pfn) => (pfn === KVM_PFN_ERR_RO_FAULT ? BAD_PAGE_EMULATE : kvm.handleBadPage(f, pfn)),
  }),
};
