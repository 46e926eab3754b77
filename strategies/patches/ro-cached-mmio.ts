/**
 * What v3 got wrong: a refused write is handled like one to a hole, and the gfn is remembered as MMIO. From
 * then on the guest's reads of that page leave as MMIO exits too.
 */
import { BAD_PAGE_EMULATE_MMIO, KVM_PFN_ERR_RO_FAULT, type Patch } from '../../engine/policy.ts';

export const roCachedMmio: Patch = {
  name: 'ro-cached-mmio',
  subject: 'a refused write is remembered as MMIO, so that reads of the page exit as well',
  source: 'v3; named as fixed in the changelog of v4, 17 July 2012',
  apply: (kvm) => ({
    handleBadPage: (f, pfn) =>
      pfn === KVM_PFN_ERR_RO_FAULT ? BAD_PAGE_EMULATE_MMIO : kvm.handleBadPage(f, pfn),
  }),
};
