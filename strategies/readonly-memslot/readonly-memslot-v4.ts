/**
 * v4: MMIO is no longer cached; a refused write is told by a dummy page, and re-execution is not yet judged. Like v5 it
 * looped in 2012 under shadow paging only (see there).
 */
import { KVM_MEM_READONLY, PROT_READ, PROT_WRITE } from '../../engine/abi.ts';
import { judgeVmaByAccess } from '../patches/judge-vma-by-access.ts';
import { returnDummyPage } from '../patches/return-dummy-page.ts';
import { defineStrategy } from '../strategy.ts';

export default defineStrategy({
  name: 'readonly-memslot-v4',
  cover:
    'The read-only slot of v4: a dummy page stands for a refused write; failed emulations loop; in 2012 under shadow paging only.',
  source: 'v4, 17 July 2012, rebuilt from its cover letter and the changelog of v5, 7 August 2012',
  layout: { backing: 'shm', shared: true, prot: PROT_READ | PROT_WRITE, slotFlags: KVM_MEM_READONLY },
  series: [judgeVmaByAccess, returnDummyPage],
  vmm: { romd: 'slot' },
});
