/** A store to a ROM whose pages are not in memory: is the disk asked for a page that may not be written? */
import { PAGE_SIZE } from '../../../engine/abi.ts';
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
  name: 'rom-write-cold',
  asks: 'And for storing to a ROM that is not in memory?',
  operation: 'page',
  source: '__gfn_to_hva_many(): the flag is looked at before the host memory is',
  params: { pages: int(16, 1, 256, 'pages stored to, each once') },
  memory: { bios: rom(0x10_0000, 256 * PAGE_SIZE) },
  before: (vmm) => vmm.evict('bios'),
  guest(g, { bios }, { pages }) {
    g.set(edi, bios.at);
    g.set(eax, ~dwordAt(bios.image, 0));
    g.times(pages, () => {
      g.store(at(edi), eax);
      g.addTo(edi, PAGE_SIZE);
      g.done();
    });
    g.halt();
  },
  operations: ({ pages }) => pages,
  claims({ params: { pages } }) {
    const exits = { exits: { 'mmio-write': count('N', pages) } };
    return everyStrategy({
      ...same(UNFLAGGED_READONLY, ends('efault', WRITE_KILLS, { operations: 0, exits: { efault: 1 } })),
      'gup-nowait-reasons': lives(GUP_REASONS, exits),
      ...same([...FLAGGED, 'readonly-memslot-v3'], lives(FLAG, exits)),
      'private-cow': lives(COPY_ON_WRITE),
      'no-slot-mmio': lives(NO_SLOT, exits),
      'writable-slot': ends('corrupt', WRITABLE, { romIntact: false, exits: { 'mmio-write': 0 } }),
      'efault-skip': lives(SKIPS, { exits: { efault: count('N', pages) } }),
    });
  },
});
