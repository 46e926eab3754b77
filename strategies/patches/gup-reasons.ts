/**
 * gup says why it has no page instead of leaving KVM to guess from the VMA: the page must be read from disk,
 * the memory is read-only, or there is nothing to be had. SIGBUS is final, where the guess of 3.7 and later
 * takes it for I/O and waits in vain.
 */
import {
  KVM_PFN_ERR_FAULT,
  KVM_PFN_ERR_NEEDS_IO,
  KVM_PFN_ERR_RO_FAULT,
  type Patch,
} from '../../engine/policy.ts';
import { vmaIsReadonly, vmaIsValid } from './vma.ts';

export const gupReasons: Patch = {
  name: 'gup-reasons',
  subject: 'gup tells I/O, read-only memory and no permission apart',
  source: 'Marcelo, 13 August 2012: the return values of gup_nowait do not say enough; v1 of the series',
  apply: () => ({
    gupFailed: (f, nowait) => {
      if (f.write && vmaIsReadonly(f)) return KVM_PFN_ERR_RO_FAULT;
      if (!vmaIsValid(f) || f.sigbus) return KVM_PFN_ERR_FAULT;
      return nowait && f.cold ? KVM_PFN_ERR_NEEDS_IO : KVM_PFN_ERR_FAULT;
    },
  }),
};
