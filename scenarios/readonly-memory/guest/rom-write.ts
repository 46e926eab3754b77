/** The question of the thread: what does a guest get for storing to a ROM? */
import { count, ends, everyStrategy, lives, same } from '../../language/claims.ts';
import { dwordAt } from '../../language/image.ts';
import { int } from '../../language/params.ts';
import { rom } from '../../language/regions.ts';
import { at, eax, edi } from '../../language/registers.ts';
import { defineScenario } from '../../language/scenario.ts';
import {
  COPY_ON_WRITE,
  FLAG,
  FLAGGED,
  GUP_REASONS,
  NO_SLOT,
  SKIPS,
  UNFLAGGED_READONLY,
  WRITABLE,
  WRITE_KILLS,
} from '../sources.ts';

export default defineScenario({
  name: 'rom-write',
  asks: 'What does a guest get for storing to a ROM?',
  operation: 'store',
  source: WRITE_KILLS,
  params: { writes: int(256, 1, 100_000_000, 'stores, of four bytes each') },
  memory: { bios: rom(0xf_0000, 0x1_0000) },
  guest(g, { bios }, { writes }) {
    g.set(edi, bios.at);
    // Every bit differs from what the ROM holds: a store that lands cannot hide.
    g.set(eax, ~dwordAt(bios.image, 0));
    g.times(writes, () => {
      g.store(at(edi), eax);
      g.done();
    });
    g.halt();
  },
  operations: ({ writes }) => writes,
  claims({ params: { writes } }) {
    const exits = { exits: { 'mmio-write': count('N', writes) } };
    return everyStrategy({
      ...same(UNFLAGGED_READONLY, ends('efault', WRITE_KILLS, { operations: 0, exits: { efault: 1 } })),
      'gup-nowait-reasons': lives(GUP_REASONS, exits),
      ...same([...FLAGGED, 'readonly-memslot-v3'], lives(FLAG, exits)),
      'private-cow': lives(COPY_ON_WRITE),
      'no-slot-mmio': lives(NO_SLOT, exits),
      'writable-slot': ends('corrupt', WRITABLE, { romIntact: false, exits: { 'mmio-write': 0 } }),
      'efault-skip': lives(SKIPS, { exits: { efault: count('N', writes) } }),
    });
  },
});
