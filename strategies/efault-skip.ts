/** The VMM makes do with -EFAULT: it decodes the instruction at rip and steps over it. */
import { PROT_READ } from '../engine/abi.ts';
import { defineStrategy } from './strategy.ts';

export default defineStrategy({
  name: 'efault-skip',
  cover: 'As shm-multi-map, and the VMM answers -EFAULT by stepping over the instruction.',
  source:
    'mmu_stress_test of the KVM selftests; akin to dosemu2, which repairs the cause of -EFAULT and retries',
  layout: { backing: 'shm', shared: true, prot: PROT_READ, slotFlags: 0 },
  series: [],
  vmm: { onEfault: 'skip', romd: 'none' },
});
