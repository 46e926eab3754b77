/** Accesses with one foot in the ROM and one beside it. */
import { count, ends, everyStrategy, lives, same } from '../../language/claims.ts';
import { dwordAt } from '../../language/image.ts';
import { hole, ram, rom } from '../../language/regions.ts';
import { abs, eax, ebx, edx } from '../../language/registers.ts';
import { defineScenario } from '../../language/scenario.ts';
import {
  COPY_ON_WRITE,
  FLAG,
  FLAGGED,
  GUP_REASONS,
  NO_SLOT,
  OWN,
  SKIPS,
  UNFLAGGED_READONLY,
  V3_CACHES,
  WRITABLE,
  WRITE_KILLS,
} from '../sources.ts';

const STORED = 0xa1b2_c3d4;

export default defineScenario({
  name: 'rom-straddle',
  asks: 'A store lies half in RAM and half in ROM, another half in ROM and half in a hole: which halves take?',
  operation: 'access',
  source: 'emulator_read_write(): an access that crosses a page is done in two halves',
  memory: { below: ram(0xe_0000, 0x1_0000), bios: rom(0xf_0000, 0x1_0000), above: hole(0x10_0000, 0x1000) },
  guest(g, { below, bios }) {
    g.set(eax, STORED);
    g.store(abs(bios.at - 2), eax);
    g.done();
    g.store(abs(bios.end - 2), eax);
    g.done();
    g.load(ebx, abs(bios.end - 2));
    g.done();
    g.load(edx, abs(below.end - 4));
    g.halt();
  },
  operations: () => 3,
  expect: ({ bios }) => ({
    // The hole reads as ones; the RAM holds its half of the first store.
    ebx: 0xffff_0000 | (dwordAt(bios.image, bios.bytes - 4) >>> 16),
    edx: (STORED << 16) >>> 0,
  }),
  claims() {
    const halves = { exits: { 'mmio-write': count('1 + 2', 3), 'mmio-read': 1 } };
    return everyStrategy({
      ...same(UNFLAGGED_READONLY, ends('efault', WRITE_KILLS, { operations: 0 })),
      'gup-nowait-reasons': lives(GUP_REASONS, halves),
      ...same(FLAGGED, lives(FLAG, halves)),
      'readonly-memslot-v3': lives(V3_CACHES, { exits: { 'mmio-write': 3, 'mmio-read': 2 } }),
      'private-cow': ends('corrupt', COPY_ON_WRITE, { romIntact: true, exits: { 'mmio-write': 1 } }),
      'no-slot-mmio': lives(NO_SLOT, { exits: { 'mmio-write': 3, 'mmio-read': 2 } }),
      'writable-slot': ends('corrupt', WRITABLE, { romIntact: false }),
      'efault-skip': ends('corrupt', `${SKIPS}; ${OWN}: and with it over the half meant for RAM`, {
        romIntact: true,
      }),
    });
  },
});
