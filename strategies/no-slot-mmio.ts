/** No memory at all: every access leaves, and the VMM answers from the image. */
import { PROT_READ, PROT_WRITE } from '../engine/abi.ts';
import { defineStrategy } from './strategy.ts';

export default defineStrategy({
  name: 'no-slot-mmio',
  cover: 'No slot: every read and write is an MMIO exit; code cannot run from there.',
  source: 'crosvm, pflash device without a slot',
  layout: { backing: 'shm', shared: true, prot: PROT_READ | PROT_WRITE, slotFlags: null },
  series: [],
  vmm: { romd: 'none' },
});
