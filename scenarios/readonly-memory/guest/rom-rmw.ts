/** Instructions that read the ROM, compute, and write it back. */
import { count, ends, everyStrategy, lives, same } from '../../language/claims.ts';
import { choice, int } from '../../language/params.ts';
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
  V3_CACHES,
  WRITABLE,
  WRITE_KILLS,
} from '../sources.ts';

export default defineScenario({
  name: 'rom-rmw',
  asks: 'What becomes of an instruction that reads the ROM and writes it in one go?',
  operation: 'read-modify-write',
  source: 'x86_emulate_insn(): the value written is computed from what the ROM holds',
  params: {
    rounds: int(16, 1, 100_000, 'rounds of add, or, and, xor'),
    locked: choice(['no', 'yes'], 'whether the instructions lock the bus'),
  },
  memory: { bios: rom(0xf_0000, 0x1_0000, { content: (n) => new Uint8Array(n).fill(0x11) }) },
  guest(g, { bios }, { rounds, locked }) {
    g.set(edi, bios.at);
    g.set(eax, 0x0102_0304);
    g.times(rounds, () => {
      for (const op of ['add', 'or', 'and', 'xor'] as const) {
        g.modify(op, at(edi), eax, locked === 'yes');
        g.done();
      }
    });
    g.halt();
  },
  operations: ({ rounds }) => 4 * rounds,
  claims({ params: { rounds, locked } }) {
    const n = count('4 N', 4 * rounds);
    const writes = { exits: { 'mmio-write': n } };
    const both = { exits: { 'mmio-read': n, 'mmio-write': n } };
    return everyStrategy({
      ...same(UNFLAGGED_READONLY, ends('efault', WRITE_KILLS, { operations: 0 })),
      'gup-nowait-reasons':
        locked === 'yes'
          ? ends(
              'internal-error',
              'emulator_cmpxchg_emulated(): a locked store goes to the user mapping itself',
            )
          : lives(GUP_REASONS, writes),
      ...same(FLAGGED, lives(FLAG, writes)),
      'readonly-memslot-v3': lives(V3_CACHES, both),
      'private-cow': lives(COPY_ON_WRITE),
      'no-slot-mmio': lives(NO_SLOT, both),
      'writable-slot': ends('corrupt', WRITABLE, { romIntact: false }),
      'efault-skip': lives(SKIPS, { exits: { efault: n } }),
    });
  },
});
