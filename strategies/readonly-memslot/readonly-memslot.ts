/** The series as merged: the slot says that the range is read-only, whatever the mapping behind it. */
import { KVM_MEM_READONLY, PROT_READ, PROT_WRITE } from '../../engine/abi.ts';
import { introduceReadonlyMemslot } from '../patches/introduce-readonly-memslot.ts';
import { judgeVmaByAccess } from '../patches/judge-vma-by-access.ts';
import { reexecuteWritablePfn } from '../patches/reexecute-writable-pfn.ts';
import { defineStrategy } from '../strategy.ts';

export default defineStrategy({
  name: 'readonly-memslot',
  cover: 'KVM_MEM_READONLY on the slot: reads are direct, writes leave as MMIO exits.',
  source: 'v6, merged 22 August 2012 (commit 4d8b81abc47b), Linux 3.7',
  layout: { backing: 'shm', shared: true, prot: PROT_READ | PROT_WRITE, slotFlags: KVM_MEM_READONLY },
  series: [judgeVmaByAccess, introduceReadonlyMemslot, reexecuteWritablePfn],
  vmm: { romd: 'slot' },
});
