/** Firmware whose page tables lie in the ROM: the processor itself wants to write there. */
import { ends, everyStrategy, lives, same } from './claims.ts';
import { identityTables } from './page-tables.ts';
import { choice } from './params.ts';
import { rom } from './regions.ts';
import { abs, bl } from './registers.ts';
import { defineScenario } from './scenario.ts';
import { COPY_ON_WRITE, FLAGGED, OWN, UNFLAGGED_READONLY, WRITABLE } from './sources.ts';

const TABLES = 0x1_0000;
/** A byte of RAM, mapped by the tables. */
const TARGET = 0xd000;
const RECORDED = 'recorded: story/long64/…/page-tables-in-rom';

export default defineScenario({
  name: 'page-tables-in-rom',
  asks: 'The guest keeps its page tables in ROM: who sets the accessed and dirty bits?',
  operation: 'store and load',
  source: 'commit ba6a35415455: page tables may lie in read-only slots (OVMF)',
  params: { bits: choice(['clear', 'set'], 'accessed and dirty bits in the ROM') },
  memory: {
    tables: rom(TABLES, 0x1_0000, {
      content(_n, _random, { bits }) {
        return identityTables(TABLES, bits === 'set');
      },
    }),
  },
  mode: 'long64',
  cr3: TABLES,
  guest(g) {
    g.storeByte(abs(TARGET), 0x5a);
    g.load(bl, abs(TARGET));
    g.done();
    g.halt();
  },
  operations: () => 1,
  claims({ paging, params: { bits } }) {
    const set = bits === 'set';
    const shadow = paging === 'shadow';
    return everyStrategy({
      ...same([...UNFLAGGED_READONLY, 'efault-skip'], lives(RECORDED)),
      'gup-nowait-reasons': lives(OWN),
      ...same(
        [...FLAGGED, 'readonly-memslot-v3'],
        shadow && set ? lives(RECORDED) : ends('livelock', RECORDED),
      ),
      'private-cow': lives(COPY_ON_WRITE),
      'no-slot-mmio': lives(OWN),
      'writable-slot': ends('corrupt', WRITABLE),
    });
  },
});
