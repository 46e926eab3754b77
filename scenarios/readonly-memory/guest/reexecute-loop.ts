/** When is entering the guest again after a failed emulation of any use? Once where it is, once where not. */
import { PAGE_SIZE } from '../../../engine/abi.ts';
import { ends, everyStrategy, lives, same } from '../../language/claims.ts';
import { identityTables } from '../../language/page-tables.ts';
import { ram, rom } from '../../language/regions.ts';
import { abs, eax } from '../../language/registers.ts';
import { defineScenario } from '../../language/scenario.ts';
import {
  COPY_ON_WRITE,
  SKIPS,
  UNFLAGGED_READONLY,
  V3_NOT_RETRIED,
  V5_RETRIES,
  V6_GIVES_UP,
  WRITABLE,
  WRITE_KILLS,
} from '../sources.ts';

/** In low memory, between the code and the stack. */
const TABLES = 0x8000;
/** Memory in the second GiB, so that it has a page directory of its own, and an entry of that which nobody uses. */
const HIGH = 0x4000_0000;
const UPPER_DIRECTORY = TABLES + 3 * PAGE_SIZE;
const UNUSED_ENTRY = UPPER_DIRECTORY + 511 * 8;

export default defineScenario({
  name: 'reexecute-loop',
  asks: 'KVM cannot emulate a store: when does it help to enter the guest again?',
  operation: 'store',
  source: 'Marcelo, 14 August 2012: reexecute_instruction() looks at memslots only',
  memory: { bios: rom(0xf_0000, 0x1_0000), high: ram(HIGH, 0x1_0000) },
  mode: 'long64',
  cr3: TABLES,
  before: (vmm) => vmm.poke('low', TABLES, identityTables(TABLES, { used: true, stretches: [0, HIGH] })),
  guest(g, { bios }) {
    g.fld1();
    // From here on the upper directory is in use, and under shadow paging KVM protects it against writes. (The last
    // level it would let go out of sync, and the store would land at once.)
    g.load(eax, abs(HIGH));
    // Here it helps: KVM lets go of the shadow page, and the store is the guest's own business.
    g.fst(abs(UNUSED_ENTRY));
    g.done();
    // Here it does not: the ROM stays read-only however often the store is tried.
    g.fst(abs(bios.at));
    g.done();
    g.halt();
  },
  operations: () => 2,
  claims() {
    const givesUp = ends('internal-error', V6_GIVES_UP, { operations: 1 });
    const loops = ends('livelock', V5_RETRIES, { operations: 1 });
    return everyStrategy(
      {
        ...same(UNFLAGGED_READONLY, ends('efault', WRITE_KILLS, { operations: 1 })),
        ...same(['readonly-memslot', 'coexist', 'gup-nowait-reasons'], givesUp),
        ...same(['readonly-memslot-v4', 'readonly-memslot-v5'], loops),
        'readonly-memslot-v3': ends('internal-error', V3_NOT_RETRIED, { operations: 1 }),
        'private-cow': lives(COPY_ON_WRITE),
        'no-slot-mmio': ends('internal-error', 'reexecute_instruction(): no memslot, no retry', {
          operations: 1,
        }),
        'writable-slot': ends('corrupt', WRITABLE, { romIntact: false, operations: 2 }),
        'efault-skip': lives(SKIPS, { exits: { efault: 1 } }),
      },
      {
        'readonly-memslot-v5+reexecute-writable-pfn': givesUp,
        'readonly-memslot-reexecute-writable-pfn': loops,
      },
    );
  },
});
