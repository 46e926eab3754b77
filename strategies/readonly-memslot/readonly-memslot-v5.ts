/**
 * v5, the version under discussion: error codes instead of a dummy page, and reexecute_instruction() still
 * content with a memslot. In 2012 it looped under shadow paging only: that of 3.5 to 3.8 says no at once where
 * tdp_enabled. The base used here, like the recorded kernel that checks it (`reexec-memslot`), asks under both.
 */
import { KVM_MEM_READONLY, PROT_READ, PROT_WRITE } from '../../engine/abi.ts';
import { introduceReadonlyMemslot } from '../patches/introduce-readonly-memslot.ts';
import { judgeVmaByAccess } from '../patches/judge-vma-by-access.ts';
import { defineStrategy } from '../strategy.ts';

export default defineStrategy({
  name: 'readonly-memslot-v5',
  cover:
    'The read-only slot of v5: as merged, but an instruction KVM cannot emulate is retried for ever; in 2012 under shadow paging only.',
  source: 'v5, 7 August 2012, rebuilt from its cover letter and the changelog of v6, 21 August 2012',
  layout: { backing: 'shm', shared: true, prot: PROT_READ | PROT_WRITE, slotFlags: KVM_MEM_READONLY },
  series: [judgeVmaByAccess, introduceReadonlyMemslot],
  vmm: { romd: 'slot' },
});
