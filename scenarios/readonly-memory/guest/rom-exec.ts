/** A ROM is there to run code from. */
import { ends, everyStrategy, lives, same } from '../../language/claims.ts';
import { int } from '../../language/params.ts';
import { rom } from '../../language/regions.ts';
import { eax, ebx } from '../../language/registers.ts';
import { defineScenario } from '../../language/scenario.ts';
import { COPY_ON_WRITE, FLAG, FLAGGED, GUP_REASONS, READS_WORK, UNFLAGGED_READONLY } from '../sources.ts';

/** `inc ebx; ret`. */
const ROUTINE = [0x43, 0xc3];

export default defineScenario({
  name: 'rom-exec',
  asks: 'Does code run from the ROM?',
  operation: 'call',
  source: READS_WORK,
  params: { calls: int(64, 1, 1_000_000, 'calls of a routine in the ROM') },
  memory: {
    bios: rom(0xf_0000, 0x1_0000, {
      content(n) {
        const bytes = new Uint8Array(n);
        bytes.set(ROUTINE);
        return bytes;
      },
    }),
  },
  guest(g, { bios }, { calls }) {
    g.set(eax, bios.at);
    g.clear(ebx);
    g.times(calls, () => {
      g.call(eax);
      g.done();
    });
    g.halt();
  },
  operations: ({ calls }) => calls,
  expect: (_, { calls }) => ({ ebx: calls }),
  claims: () =>
    everyStrategy({
      ...same([...UNFLAGGED_READONLY, 'efault-skip', 'writable-slot'], lives(READS_WORK)),
      'gup-nowait-reasons': lives(GUP_REASONS),
      ...same([...FLAGGED, 'readonly-memslot-v3'], lives(FLAG)),
      'private-cow': lives(COPY_ON_WRITE),
      'no-slot-mmio': ends('internal-error', 'kvm_fetch_guest_virt(): code cannot be fetched from MMIO', {
        operations: 0,
      }),
    }),
});
