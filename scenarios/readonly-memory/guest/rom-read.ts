/** The ordinary case, which every way must get right: the ROM's pages are in memory. */
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

const BYTES = 0x1_0000;

export default defineScenario({
  name: 'rom-read',
  asks: 'Does the guest read its ROM without anybody noticing?',
  operation: 'load',
  source: READS_WORK,
  params: { reads: int(256, 1, BYTES / 4, 'loads, of four bytes each, one after the other') },
  memory: { bios: rom(0xf_0000, BYTES) },
  guest(g, { bios }, { reads }) {
    g.set(esi, bios.at);
    g.clear(ebx);
    g.times(reads, () => {
      g.addFrom(ebx, at(esi));
      g.addTo(esi, 4);
      g.done();
    });
    g.halt();
  },
  operations: ({ reads }) => reads,
  expect: ({ bios }, { reads }) => ({ ebx: sumOf(bios.image, reads, 4) }),
  claims: ({ params: { reads } }) =>
    everyStrategy({
      ...same([...UNFLAGGED_READONLY, 'efault-skip', 'writable-slot'], lives(READS_WORK)),
      'gup-nowait-reasons': lives(GUP_REASONS),
      ...same([...FLAGGED, 'readonly-memslot-v3'], lives(FLAG)),
      'private-cow': lives(COPY_ON_WRITE),
      'no-slot-mmio': lives(NO_SLOT, { exits: { 'mmio-read': count('N', reads) } }),
    }),
});
