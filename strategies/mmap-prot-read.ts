/** Marcelo's first question: what is wrong with mmap(PROT_READ) and a plain memslot? */
import { PROT_READ } from '../engine/abi.ts';
import { defineStrategy } from './strategy.ts';

export default defineStrategy({
  name: 'mmap-prot-read',
  cover: 'A plain slot over a file mapped PROT_READ; the kernel is not changed.',
  source: 'Marcelo, 10 August 2012: what prevents the use of mmap(!MAP_WRITE)?',
  layout: { backing: 'file', shared: true, prot: PROT_READ, slotFlags: 0 },
  series: [],
  vmm: { romd: 'none' },
});
