/**
 * The flag as v4 had it: a refused write is told by the frame number of a dummy page, recognised later and
 * emulated. v5's changelog replaces the page by KVM_PFN_ERR_RO_FAULT. A dummy page is reference-counted and
 * has to be released, which the seam does not show; what the guest and the VMM see is the same. The bodies of
 * v4's patches are not to be had, so this is read from the changelogs of v4 and v5.
 */
import {
  BAD_PAGE_EMULATE,
  KVM_HVA_ERR_RO_BAD,
  KVM_PFN_ERR_RO_FAULT,
  type Patch,
} from '../../engine/policy.ts';

export const returnDummyPage: Patch = {
  name: 'return-dummy-page',
  subject: 'a write to a read-only slot gets a dummy page, which is told apart later and emulated',
  source: 'v4, 17 July 2012; dropped by the changelog of v5, 7 August 2012',
  apply: (kvm) => ({
    // The dummy page's frame number plays the part that the two error codes play from v5 on.
    gfnToHva: (f) => (f.write && f.slotReadonly ? KVM_HVA_ERR_RO_BAD : kvm.gfnToHva(f)),
    handleBadPage: (f, pfn) => (pfn === KVM_PFN_ERR_RO_FAULT ? BAD_PAGE_EMULATE : kvm.handleBadPage(f, pfn)),
  }),
};
