/** A PCI option ROM: firmware maps its BAR, reads it, perhaps writes it, and unmaps it again. */
import { count, ends, everyStrategy, lives, same } from '../../language/claims.ts';
import { int } from '../../language/params.ts';
import { rom } from '../../language/regions.ts';
import { at, ax, dx, eax, ebx, edi, edx } from '../../language/registers.ts';
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

/** What every option ROM starts with, as a little-endian word. */
const SIGNATURE = 0xaa55;

export default defineScenario({
  name: 'pci-rom',
  asks: 'A guest writes to the option ROM of a PCI device: ignored, as on the real machine?',
  operation: 'mapping',
  source: 'Xiao, 16 August 2012: the guest will die, but we would ignore this write',
  params: { rounds: int(8, 1, 10_000, 'times the BAR is mapped and unmapped') },
  memory: {
    bar: rom(0xfe00_0000, 0x1_0000, {
      absent: true,
      content(n, random) {
        const bytes = Uint8Array.from({ length: n }, random);
        bytes.set([SIGNATURE & 0xff, SIGNATURE >> 8]);
        return bytes;
      },
    }),
  },
  actions: {
    enable: (vmm) => vmm.install('bar'),
    disable: (vmm) => vmm.remove('bar'),
  },
  guest(g, { bar }, { rounds }) {
    g.set(edi, bar.at);
    g.clear(ebx);
    g.clear(edx);
    g.times(rounds, () => {
      g.vmm('enable');
      g.load(dx, at(edi));
      g.add(ebx, edx);
      g.store(at(edi, 0x20), eax);
      g.vmm('disable');
      g.clear(eax);
      g.load(ax, at(edi));
      g.add(ebx, eax);
      g.done();
    });
    g.halt();
  },
  operations: ({ rounds }) => rounds,
  expect: (_, { rounds }) => ({ ebx: rounds * (SIGNATURE + 0xffff) }),
  claims({ params: { rounds } }) {
    const n = count('N', rounds);
    const slotOps = count('2 N', 2 * rounds);
    // The read after the BAR is gone meets a hole, whatever the strategy.
    const ignored = { exits: { 'mmio-write': n, 'mmio-read': n }, slotOps };
    return everyStrategy({
      ...same(UNFLAGGED_READONLY, ends('efault', WRITE_KILLS, { operations: 0 })),
      'gup-nowait-reasons': lives(GUP_REASONS, ignored),
      ...same([...FLAGGED, 'readonly-memslot-v3'], lives(FLAG, ignored)),
      'private-cow': lives(COPY_ON_WRITE, { exits: { 'mmio-read': n }, slotOps }),
      'no-slot-mmio': lives(NO_SLOT, {
        exits: { 'mmio-write': n, 'mmio-read': count('2 N', 2 * rounds) },
        slotOps: 0,
      }),
      'writable-slot': ends('corrupt', WRITABLE, { romIntact: false, slotOps }),
      'efault-skip': lives(SKIPS, { exits: { efault: n, 'mmio-read': n }, slotOps }),
    });
  },
});
