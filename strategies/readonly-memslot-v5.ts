/**
 * v5, the version under discussion: error codes instead of a dummy page, and reexecute_instruction() still
 * content with a memslot. In 2012 it looped under shadow paging only, since nested paging never re-executed;
 * on the base used here (the machinery of 6.1) it loops under both.
 */
import { KVM_MEM_READONLY, PROT_READ, PROT_WRITE } from '../engine/abi.ts';
import { introduceReadonlyMemslot } from './patches/introduce-readonly-memslot.ts';
import { judgeVmaByAccess } from './patches/judge-vma-by-access.ts';
import { defineStrategy } from './strategy.ts';

export default defineStrategy({
  name: 'readonly-memslot-v5',
  cover: 'The read-only slot of v5: as merged, but an instruction KVM cannot emulate is retried for ever.',
  source: 'v5, 7 August 2012, and the changelog of v6, 20 August 2012',
  layout: { backing: 'shm', shared: true, prot: PROT_READ | PROT_WRITE, slotFlags: KVM_MEM_READONLY },
  series: [judgeVmaByAccess, introduceReadonlyMemslot],
  vmm: { romd: 'slot' },
});
