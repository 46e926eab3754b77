/** A guest that tests for RAM: it stores and looks whether the store took. */
import { count, ends, everyStrategy, lives, same } from '../../language/claims.ts';
import { dwordAt } from '../../language/image.ts';
import { int } from '../../language/params.ts';
import { rom } from '../../language/regions.ts';
import { at, eax, ebx, edi } from '../../language/registers.ts';
import { defineScenario } from '../../language/scenario.ts';
import {
  COPY_ON_WRITE,
  FLAG,
  FLAGGED,
  GUP_REASONS,
  NO_SLOT,
  SKIPS,
  UNFLAGGED_READONLY,
  V3_CACHES,
  WRITABLE,
  WRITE_KILLS,
} from '../sources.ts';

export default defineScenario({
  name: 'rom-read-back',
  asks: 'After a store to the ROM, does a read still find the ROM, and still without an exit?',
  operation: 'store and load',
  source: V3_CACHES,
  params: { rounds: int(64, 1, 100_000, 'stores, each followed by a load of the same place') },
  memory: { bios: rom(0xf_0000, 0x1_0000) },
  guest(g, { bios }, { rounds }) {
    g.set(edi, bios.at);
    g.set(eax, ~dwordAt(bios.image, 0));
    g.clear(ebx);
    g.times(rounds, () => {
      g.store(at(edi), eax);
      g.addFrom(ebx, at(edi));
      g.done();
    });
    g.halt();
  },
  operations: ({ rounds }) => rounds,
  expect: ({ bios }, { rounds }) => ({ ebx: Math.imul(dwordAt(bios.image, 0), rounds) }),
  claims({ params: { rounds } }) {
    const n = count('N', rounds);
    const writes = { exits: { 'mmio-write': n } };
    const both = { exits: { 'mmio-write': n, 'mmio-read': n } };
    return everyStrategy({
      ...same(UNFLAGGED_READONLY, ends('efault', WRITE_KILLS, { operations: 0 })),
      'gup-nowait-reasons': lives(GUP_REASONS, writes),
      ...same(FLAGGED, lives(FLAG, writes)),
      'readonly-memslot-v3': lives(V3_CACHES, both),
      'private-cow': ends('corrupt', COPY_ON_WRITE, { romIntact: true }),
      'no-slot-mmio': lives(NO_SLOT, both),
      'writable-slot': ends('corrupt', WRITABLE, { romIntact: false }),
      'efault-skip': lives(SKIPS, { exits: { efault: n } }),
    });
  },
});
