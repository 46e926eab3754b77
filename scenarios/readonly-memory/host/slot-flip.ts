/** Shadowing a BIOS: the firmware makes its ROM writable for a moment, and read-only again. */
import { count, ends, everyStrategy, lives, same } from '../../language/claims.ts';
import { int } from '../../language/params.ts';
import { rom } from '../../language/regions.ts';
import { at, eax, ebx, edi } from '../../language/registers.ts';
import { defineScenario } from '../../language/scenario.ts';
import {
  COPY_ON_WRITE,
  FLAGGED,
  NO_SLOT,
  OWN,
  SKIPS,
  UNFLAGGED_READONLY,
  V3_CACHES,
  WRITABLE,
  WRITE_KILLS,
} from '../sources.ts';

const FLIP = 'commit 75d61fbcf563: the read-only flag of a live slot cannot be changed';

export default defineScenario({
  name: 'slot-flip',
  asks: 'Can the VMM make a live ROM writable and read-only again, and does the guest notice both?',
  operation: 'flip and back',
  source: FLIP,
  params: { rounds: int(4, 1, 1_000, 'times the ROM is opened and closed') },
  memory: { bios: rom(0xf_0000, 0x1_0000) },
  actions: {
    unlock: (vmm) => vmm.unlock('bios'),
    lock: (vmm) => vmm.lock('bios'),
  },
  guest(g, { bios }, { rounds }) {
    g.set(edi, bios.at);
    g.clear(ebx);
    // Three stores a round: refused, taken, refused. Only the second one's value may ever be read.
    g.times(rounds, () => {
      g.set(eax, 0x1111_1111);
      g.store(at(edi), eax);
      g.vmm('unlock');
      g.set(eax, 0x0000_0222);
      g.store(at(edi), eax);
      g.addFrom(ebx, at(edi));
      g.vmm('lock');
      g.set(eax, 0x3333_3333);
      g.store(at(edi), eax);
      g.addFrom(ebx, at(edi));
      g.done();
    });
    g.halt();
  },
  operations: ({ rounds }) => rounds,
  expect: (_, { rounds }) => ({ ebx: 2 * 0x222 * rounds }),
  claims({ params: { rounds } }) {
    const refused = count('2 N', 2 * rounds);
    // Each flip is tried on the live slot, refused, and done by deleting and creating it.
    const slotOps = count('2 × 3 N', 6 * rounds);
    const observed = { 'refused flag changes': refused };
    return everyStrategy({
      ...same(UNFLAGGED_READONLY, ends('efault', WRITE_KILLS, { operations: 0 })),
      'gup-nowait-reasons': lives(`${OWN}: mprotect() is enough`, {
        exits: { 'mmio-write': refused },
        slotOps: 0,
      }),
      ...same(FLAGGED, lives(FLIP, { exits: { 'mmio-write': refused }, slotOps, observed })),
      'readonly-memslot-v3': lives(V3_CACHES, {
        exits: { 'mmio-write': refused, 'mmio-read': count('N', rounds) },
        slotOps,
        observed,
      }),
      'private-cow': ends('corrupt', COPY_ON_WRITE, { romIntact: true, slotOps: 0 }),
      'no-slot-mmio': lives(NO_SLOT, {
        exits: { 'mmio-write': count('3 N', 3 * rounds), 'mmio-read': count('2 N', 2 * rounds) },
        slotOps: 0,
      }),
      'writable-slot': ends('corrupt', WRITABLE, { romIntact: false, slotOps: 0 }),
      'efault-skip': lives(SKIPS, { exits: { efault: refused }, slotOps: 0 }),
    });
  },
});
