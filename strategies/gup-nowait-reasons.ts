/**
 * The alternative Xiao calls more complex: no new flag; gup says why it failed, a write to read-only memory
 * becomes an MMIO exit, and reexecute_instruction() looks at the user mapping, as Marcelo asks.
 */
import { PROT_READ } from '../engine/abi.ts';
import { emulateRoFault } from './patches/emulate-ro-fault.ts';
import { gupReasons } from './patches/gup-reasons.ts';
import { reexecuteWritablePfn } from './patches/reexecute-writable-pfn.ts';
import { defineStrategy } from './strategy.ts';

export default defineStrategy({
  name: 'gup-nowait-reasons',
  cover: 'A plain slot over a PROT_READ mapping; gup tells why it failed, and a refused write exits as MMIO.',
  source: 'Marcelo, 13 August 2012; Xiao, 16 August 2012: rework get_user_page_nowait to tell the reason',
  layout: { backing: 'shm', shared: true, prot: PROT_READ, slotFlags: 0 },
  series: [gupReasons, emulateRoFault, reexecuteWritablePfn],
  vmm: { romd: 'slot' },
});
