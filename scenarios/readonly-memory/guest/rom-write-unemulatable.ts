/** The re-execute debate: a store that the processor can do and KVM's emulator cannot. */
import { ends, everyStrategy, lives, same } from '../../language/claims.ts';
import { rom } from '../../language/regions.ts';
import { at, edi } from '../../language/registers.ts';
import { defineScenario } from '../../language/scenario.ts';
import {
  COPY_ON_WRITE,
  LOOPING,
  MMIO_FAILS_AGAIN,
  SKIPS,
  UNFLAGGED_READONLY,
  V3_NOT_RETRIED,
  V5_RETRIES,
  V6_GIVES_UP,
  WRITABLE,
  WRITE_KILLS,
} from '../sources.ts';

export default defineScenario({
  name: 'rom-write-unemulatable',
  asks: 'The store has to be emulated and KVM cannot: crash, loop, or exit?',
  operation: 'store',
  source: 'Marcelo and Xiao, 16 August 2012, on reexecute_instruction()',
  memory: { bios: rom(0xf_0000, 0x1_0000) },
  guest(g, { bios }) {
    g.set(edi, bios.at);
    g.fld1();
    g.fst(at(edi));
    g.done();
    g.halt();
  },
  operations: () => 1,
  claims() {
    const givesUp = ends('internal-error', V6_GIVES_UP, { operations: 0, exits: { 'mmio-write': 0 } });
    const loops = ends('livelock', V5_RETRIES, { operations: 0 });
    return everyStrategy(
      {
        ...same(UNFLAGGED_READONLY, ends('efault', WRITE_KILLS, { operations: 0 })),
        ...same(['readonly-memslot', 'coexist', 'gup-nowait-reasons'], givesUp),
        ...same(['readonly-memslot-v4', 'readonly-memslot-v5'], loops),
        'readonly-memslot-v3': ends('internal-error', V3_NOT_RETRIED, { operations: 0 }),
        'private-cow': lives(COPY_ON_WRITE),
        'no-slot-mmio': ends('internal-error', 'reexecute_instruction(): no memslot, no retry', {
          operations: 0,
        }),
        'writable-slot': ends('corrupt', WRITABLE, { romIntact: false }),
        'efault-skip': lives(SKIPS, { exits: { efault: 1 } }),
      },
      {
        'readonly-memslot-v5+reexecute-writable-pfn': givesUp,
        'readonly-memslot-reexecute-writable-pfn': loops,
        'gup-nowait-reasons-reexecute-writable-pfn': loops,
        'readonly-memslot+reexec-mmio': ends('livelock', MMIO_FAILS_AGAIN, { operations: 0 }),
        'readonly-memslot+leave-looping': ends('livelock', LOOPING, { operations: 0 }),
      },
    );
  },
});
