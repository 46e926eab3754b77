/** Xiao's answer that the two ways do not conflict: the flag, over memory that is mapped PROT_READ. */
import { KVM_MEM_READONLY, PROT_READ } from '../engine/abi.ts';
import { introduceReadonlyMemslot } from './patches/introduce-readonly-memslot.ts';
import { judgeVmaByAccess } from './patches/judge-vma-by-access.ts';
import { reexecuteWritablePfn } from './patches/reexecute-writable-pfn.ts';
import { defineStrategy } from './strategy.ts';

export default defineStrategy({
  name: 'coexist',
  cover: 'KVM_MEM_READONLY over a PROT_READ mapping: both guards at once.',
  source: 'Xiao, 11 August 2012: they can coexist; Firecracker maps read-only pmem this way',
  layout: { backing: 'file', shared: true, prot: PROT_READ, slotFlags: KVM_MEM_READONLY },
  series: [judgeVmaByAccess, introduceReadonlyMemslot, reexecuteWritablePfn],
  vmm: { romd: 'slot' },
});
