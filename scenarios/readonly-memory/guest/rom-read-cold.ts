/** The bug that started it all: the guest reads a ROM whose pages have left memory. */
import { PAGE_SIZE } from '../../../engine/abi.ts';
import { count, ends, everyStrategy, lives, same } from '../../language/claims.ts';
import { sumOf } from '../../language/image.ts';
import { int } from '../../language/params.ts';
import { rom } from '../../language/regions.ts';
import { at, ebx, esi } from '../../language/registers.ts';
import { defineScenario } from '../../language/scenario.ts';
import {
  ASYNC_FIX,
  COLD_READ_DIES,
  COPY_ON_WRITE,
  FLAGGED,
  GUP_REASONS,
  NO_SLOT,
  OWN,
  SWAP_IS_WAITED_FOR,
} from '../sources.ts';

export default defineScenario({
  name: 'rom-read-cold',
  asks: 'The ROM has been swapped out or not been read in yet: does a read kill the VM?',
  operation: 'page',
  source: COLD_READ_DIES,
  params: { pages: int(16, 1, 256, 'pages read, each once') },
  memory: { bios: rom(0x10_0000, 256 * PAGE_SIZE) },
  before: (vmm) => vmm.evict('bios'),
  guest(g, { bios }, { pages }) {
    g.set(esi, bios.at);
    g.clear(ebx);
    g.times(pages, () => {
      g.addFrom(ebx, at(esi));
      g.addTo(esi, PAGE_SIZE);
      g.done();
    });
    g.halt();
  },
  operations: ({ pages }) => pages,
  expect: ({ bios }, { pages }) => ({ ebx: sumOf(bios.image, pages, PAGE_SIZE) }),
  claims: ({ params: { pages } }) => {
    const dies = ends('efault', COLD_READ_DIES, { operations: 0, exits: { efault: 1 } });
    return everyStrategy(
      {
        'mmap-prot-read': dies,
        // Of shared memory nobody is sent away without a page.
        ...same(['shm-multi-map', 'efault-skip'], lives(SWAP_IS_WAITED_FOR)),
        'gup-nowait-reasons': lives(GUP_REASONS),
        ...same([...FLAGGED, 'readonly-memslot-v3'], lives(ASYNC_FIX)),
        'private-cow': lives(COPY_ON_WRITE),
        'no-slot-mmio': lives(NO_SLOT, { exits: { 'mmio-read': count('N', pages) } }),
        'writable-slot': lives(OWN),
      },
      {
        'mmap-prot-read+judge-vma-by-access': lives(ASYNC_FIX),
        'shm-multi-map+judge-vma-by-access': lives(SWAP_IS_WAITED_FOR),
        // Its mapping can be written, so even the guess of 3.5 comes out right.
        'readonly-memslot-judge-vma-by-access': lives(OWN),
        'coexist-judge-vma-by-access': dies,
      },
    );
  },
});
