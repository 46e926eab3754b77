/** The series before v4: a refused write is remembered as MMIO, and re-execution is not yet judged. */
import { KVM_MEM_READONLY, PROT_READ, PROT_WRITE } from '../../engine/abi.ts';
import { judgeVmaByAccess } from '../patches/judge-vma-by-access.ts';
import { returnDummyPage } from '../patches/return-dummy-page.ts';
import { roCachedMmio } from '../patches/ro-cached-mmio.ts';
import { defineStrategy } from '../strategy.ts';

export default defineStrategy({
  name: 'readonly-memslot-v3',
  cover: 'The read-only slot of v3: after a write, reads of that page leave as MMIO exits too.',
  source: 'v3, rebuilt from the changelog of v4, 17 July 2012',
  layout: { backing: 'shm', shared: true, prot: PROT_READ | PROT_WRITE, slotFlags: KVM_MEM_READONLY },
  series: [judgeVmaByAccess, returnDummyPage, roCachedMmio],
  vmm: { romd: 'slot' },
});
