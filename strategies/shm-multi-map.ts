/** Marcelo's proposal: the memory is mapped twice, writable for the VMM and read-only for the slot. */
import { PROT_READ } from '../engine/abi.ts';
import { defineStrategy } from './strategy.ts';

export default defineStrategy({
  name: 'shm-multi-map',
  cover: 'Shared memory mapped twice: read-write for the VMM, PROT_READ for a plain slot.',
  source: 'Marcelo, 14 August 2012: several mappings of one shm_open() region',
  layout: { backing: 'shm', shared: true, prot: PROT_READ, slotFlags: 0 },
  series: [],
  vmm: { romd: 'none' },
});
