/** Let the guest write: it gets its own copy of the page, and the file stays as it was. */
import { PROT_READ, PROT_WRITE } from '../engine/abi.ts';
import { defineStrategy } from './strategy.ts';

export default defineStrategy({
  name: 'private-cow',
  cover: 'A plain slot over a MAP_PRIVATE mapping: writes land in a private copy, nobody hears of them.',
  source: 'Cloud Hypervisor, discard_writes of pmem devices',
  layout: { backing: 'file', shared: false, prot: PROT_READ | PROT_WRITE, slotFlags: 0 },
  series: [],
  vmm: { romd: 'none' },
});
