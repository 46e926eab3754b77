/**
 * The half of the read-only memslot that a reworked gup needs: memory that may be read but not written is
 * emulated, whoever found that out.
 */
import { BAD_PAGE_EMULATE, KVM_PFN_ERR_RO_FAULT, type Patch } from '../../engine/policy.ts';

export const emulateRoFault: Patch = {
  name: 'emulate-ro-fault',
  subject: 'a write to memory known to be read-only is emulated and leaves as an MMIO exit',
  source: 'Marcelo, 14 August 2012: a write to a read-only user mapping should exit via MMIO',
  apply: (kvm) => ({
    handleBadPage: (f, pfn) => (pfn === KVM_PFN_ERR_RO_FAULT ? BAD_PAGE_EMULATE : kvm.handleBadPage(f, pfn)),
  }),
};
