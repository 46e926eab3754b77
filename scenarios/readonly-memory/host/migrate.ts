/** Live migration: the VMM logs dirty pages while the guest writes both to RAM and to the ROM. */
import { PAGE_SIZE } from '../../../engine/abi.ts';
import { count, ends, everyStrategy, lives, same } from '../../language/claims.ts';
import { int } from '../../language/params.ts';
import { ram, rom } from '../../language/regions.ts';
import { at, eax, edi, esi } from '../../language/registers.ts';
import { defineScenario } from '../../language/scenario.ts';
import {
  COPY_ON_WRITE,
  FLAGGED,
  GUP_REASONS,
  NO_SLOT,
  SKIPS,
  UNFLAGGED_READONLY,
  WRITABLE,
  WRITE_KILLS,
} from '../sources.ts';

const PAGES_MAX = 64;
const NOT_DIRTY = 'mark_page_dirty() is not reached by a write that is refused';

export default defineScenario({
  name: 'migrate',
  asks: 'Does a write to the ROM make a page dirty, so that migration sends it?',
  operation: 'page of RAM and page of ROM',
  source: 'v5 of the series, 7 August 2012, came with a migration test (migrate-perf)',
  params: {
    pages: int(16, 1, PAGES_MAX, 'pages of RAM and pages of ROM written in each round'),
    rounds: int(2, 1, 100, 'rounds, each followed by KVM_GET_DIRTY_LOG'),
  },
  memory: {
    work: ram(0x10_0000, PAGES_MAX * PAGE_SIZE, { logDirty: true }),
    bios: rom(0x20_0000, PAGES_MAX * PAGE_SIZE, { logDirty: true }),
  },
  actions: {
    sync(vmm) {
      for (const [note, region] of [
        ['dirty RAM pages', 'work'],
        ['dirty ROM pages', 'bios'],
      ] as const) {
        vmm.note(note, Number(vmm.notes[note] ?? 0) + vmm.dirtyPages(region));
      }
    },
  },
  guest(g, { work, bios }, { pages, rounds }) {
    g.set(eax, 0x600d_f00d);
    for (let round = 0; round < rounds; round++) {
      g.set(edi, work.at);
      g.set(esi, bios.at);
      g.times(pages, () => {
        g.store(at(edi), eax);
        g.store(at(esi), eax);
        g.addTo(edi, PAGE_SIZE);
        g.addTo(esi, PAGE_SIZE);
        g.done();
      });
      g.set(eax, 0x0bad_cafe);
      g.vmm('sync');
    }
    g.halt();
  },
  operations: ({ pages, rounds }) => pages * rounds,
  claims({ params: { pages, rounds } }) {
    const n = count('N × rounds', pages * rounds);
    const clean = { 'dirty RAM pages': n, 'dirty ROM pages': 0 };
    const dirty = { 'dirty RAM pages': n, 'dirty ROM pages': n };
    const exits = { exits: { 'mmio-write': n }, observed: clean };
    return everyStrategy({
      ...same(UNFLAGGED_READONLY, ends('efault', WRITE_KILLS, { operations: 0 })),
      'gup-nowait-reasons': lives(GUP_REASONS, exits),
      ...same([...FLAGGED, 'readonly-memslot-v3'], lives(NOT_DIRTY, exits)),
      'private-cow': lives(`${COPY_ON_WRITE}, yet the pages are sent`, { observed: dirty }),
      'no-slot-mmio': lives(NO_SLOT, exits),
      'writable-slot': ends('corrupt', WRITABLE, { romIntact: false, observed: dirty }),
      'efault-skip': lives(SKIPS, { exits: { efault: n }, observed: clean }),
    });
  },
});
