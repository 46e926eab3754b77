/**
 * The async patch: 3.5 waits for a page only if the VMA has VM_WRITE, so a read of a read-only mapping whose
 * page is not in memory kills the VM. Here the VMA is judged by the access that faulted.
 */
import { KVM_PFN_ERR_FAULT, KVM_PFN_ERR_NEEDS_IO, type Patch } from '../../engine/policy.ts';
import { vmaIsValid } from './vma.ts';

export const judgeVmaByAccess: Patch = {
  name: 'judge-vma-by-access',
  subject: 'wait for a page if the VMA allows this access, not only if it could be written',
  source: 'merged series, August 2012: vma_is_valid() in hva_to_pfn(), Linux 3.7',
  apply: () => ({
    gupFailed: (f, nowait) => (nowait && vmaIsValid(f) ? KVM_PFN_ERR_NEEDS_IO : KVM_PFN_ERR_FAULT),
  }),
};
