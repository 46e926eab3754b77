/** Pretend it is RAM: nothing stops the guest from changing its ROM. */
import { PROT_READ, PROT_WRITE } from '../engine/abi.ts';
import { defineStrategy } from './strategy.ts';

export default defineStrategy({
  name: 'writable-slot',
  cover: 'A plain slot over writable memory: the guest can overwrite its ROM.',
  source: 'VirtualBox on KVM (NEM for Linux, 2021): ROM slots registered with flags 0',
  layout: { backing: 'shm', shared: true, prot: PROT_READ | PROT_WRITE, slotFlags: 0 },
  series: [],
  vmm: { romd: 'none' },
});
