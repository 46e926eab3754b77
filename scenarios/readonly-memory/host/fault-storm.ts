/** Every page of a large ROM once: what it costs to get the mappings made. */
import { PAGE_SIZE } from '../../../engine/abi.ts';
import { count, everyStrategy, lives, same } from '../../language/claims.ts';
import { sumOf } from '../../language/image.ts';
import { int } from '../../language/params.ts';
import { rom } from '../../language/regions.ts';
import { at, ebx, esi } from '../../language/registers.ts';
import { defineScenario } from '../../language/scenario.ts';
import {
  COPY_ON_WRITE,
  FLAG,
  FLAGGED,
  GUP_REASONS,
  NO_SLOT,
  READS_WORK,
  UNFLAGGED_READONLY,
} from '../sources.ts';

const PREFETCH = 'direct_pte_prefetch(): only pages that the host has mapped writable';
const PAGES_MAX = 1024;

export default defineScenario({
  name: 'fault-storm',
  asks: 'The guest touches every page of its ROM once: one fault a page, and nothing more?',
  operation: 'page',
  source: 'tdp_page_fault(): one fault, one look-up, one entry',
  params: { pages: int(256, 1, PAGES_MAX, 'pages, each read once') },
  memory: {
    bios: rom(0x100_0000, PAGES_MAX * PAGE_SIZE, {
      // One word a page is enough to tell the pages apart, and quicker than filling 4 MiB.
      content(n) {
        const bytes = new Uint8Array(n);
        for (let page = 0; page < PAGES_MAX; page++) bytes[page * PAGE_SIZE] = page & 0xff;
        return bytes;
      },
    }),
  },
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
  claims({ paging, params: { pages } }) {
    // The page of code takes a fault as well.
    const observed = { 'faults.fixed': count('N + 1', pages + 1) };
    return everyStrategy({
      ...same([...UNFLAGGED_READONLY, 'efault-skip'], lives(READS_WORK, { observed })),
      // Without nested paging KVM prefetches neighbours, if the host has them mapped writable: fewer faults.
      'writable-slot': lives(PREFETCH, paging === 'npt' ? { observed } : {}),
      'gup-nowait-reasons': lives(GUP_REASONS, { observed }),
      ...same([...FLAGGED, 'readonly-memslot-v3'], lives(FLAG, { observed })),
      'private-cow': lives(COPY_ON_WRITE, { observed }),
      'no-slot-mmio': lives(NO_SLOT, { exits: { 'mmio-read': count('N', pages) } }),
    });
  },
});
