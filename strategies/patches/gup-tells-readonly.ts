/**
 * gup tells one reason apart: the memory can be read and this is a write. Everything else stays as it was.
 */
import { KVM_PFN_ERR_RO_FAULT, type Patch } from '../../engine/policy.ts';
import { vmaIsReadonly } from './vma.ts';

export const gupTellsReadonly: Patch = {
  name: 'gup-tells-readonly',
  subject: 'a write that only the VMA forbids is told apart from a page that is not there',
  source: 'Xiao, 16 August 2012: gup could be reworked to tell the fault reason',
  apply: (kvm) => ({
    gupFailed: (f, nowait) => (f.write && vmaIsReadonly(f) ? KVM_PFN_ERR_RO_FAULT : kvm.gupFailed(f, nowait)),
  }),
};
