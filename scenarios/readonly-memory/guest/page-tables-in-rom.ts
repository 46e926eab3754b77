/** Firmware whose page tables lie in the ROM: the processor itself wants to write there. */
import type { StrategyName } from '../../../strategies/names.ts';
import { type ClaimRow, ends, everyStrategy, lives, same } from '../../language/claims.ts';
import { identityTables } from '../../language/page-tables.ts';
import { choice } from '../../language/params.ts';
import { rom } from '../../language/regions.ts';
import { abs, bl } from '../../language/registers.ts';
import { defineScenario } from '../../language/scenario.ts';
import { COPY_ON_WRITE, FLAGGED, OWN, UNFLAGGED_READONLY, WRITABLE } from '../sources.ts';

const TABLES = 0x1_0000;
/** A byte of RAM, mapped by the tables. */
const TARGET = 0xd000;
const RECORDED = 'recorded on Linux 6.1: story/long64/…/page-tables-in-rom';
const DIRECT = 'validate_direct_spte(); recorded on Linux 6.1: story/long64/…/page-tables-in-rom';
const CLEARED =
  'x86_emulate_instruction() calls kvm_clear_exception_queue() (6.1; recorded for host-read-only tables)';
const NO_TABLES = 'own reasoning: a walk of tables that are not there is a #PF without a handler';

export default defineScenario({
  name: 'page-tables-in-rom',
  asks: 'The guest keeps its page tables in ROM: who sets the accessed and dirty bits?',
  operation: 'store and load',
  source: 'commit ba6a35415455: page tables may lie in read-only slots (OVMF)',
  params: {
    bits: choice(['clear', 'set'], 'accessed and dirty bits in the ROM'),
    leaves: choice(['4k', '2m'], 'size of the pages that the tables map'),
  },
  memory: {
    tables: rom(TABLES, 0x1_0000, {
      content(_n, _random, { bits, leaves }) {
        return identityTables(TABLES, { used: bits === 'set', large: leaves === '2m' });
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
  claims({ paging, params: { bits, leaves } }) {
    const set = bits === 'set';
    return everyStrategy(paging === 'shadow' ? shadowRows(set, leaves === '2m') : nestedRows(set));
  },
});

/** Nested paging: the processor asks for write access to the tables whether or not it sets a bit. */
function nestedRows(set: boolean): Record<StrategyName, ClaimRow> {
  return {
    ...same(UNFLAGGED_READONLY, ends('efault', RECORDED, { operations: 0, exits: { efault: 1 } })),
    // It steps over the store, and cannot step over the load.
    'efault-skip': ends('efault', OWN, { operations: 0, exits: { efault: 2 } }),
    'gup-nowait-reasons': ends('livelock', RECORDED),
    ...same([...FLAGGED, 'readonly-memslot-v3'], ends('livelock', RECORDED)),
    'private-cow': lives(COPY_ON_WRITE),
    // Each emulation begins by forgetting the exception that was on its way, so none ever becomes a double fault.
    'no-slot-mmio': ends('livelock', CLEARED, { operations: 0 }),
    'writable-slot': set ? lives(RECORDED) : ends('corrupt', WRITABLE, { romIntact: false }),
  };
}

/**
 * Shadow paging: KVM walks the tables, and passes over bits that are set or cannot be. A large page of the guest has
 * one direct shadow page for what its dirty bit, clear for ever, allows to reads (and to fetches) and another for what
 * a store needs: each fault links one and unlinks the other, and the store never has its code and its target at once.
 */
function shadowRows(set: boolean, large: boolean): Record<StrategyName, ClaimRow> {
  // The bit is written with cmpxchg on the user mapping; refused, the walk ends in a #PF that has no handler.
  const unflagged = set ? lives(RECORDED) : ends('shutdown', RECORDED, { operations: 0 });
  const flagged = set || !large ? lives(RECORDED) : ends('livelock', DIRECT, { operations: 0 });
  return {
    ...same([...UNFLAGGED_READONLY, 'efault-skip', 'gup-nowait-reasons'], unflagged),
    ...same([...FLAGGED, 'readonly-memslot-v3'], flagged),
    'private-cow': lives(COPY_ON_WRITE),
    'no-slot-mmio': ends('shutdown', NO_TABLES, { operations: 0 }),
    'writable-slot': set ? lives(RECORDED) : ends('corrupt', WRITABLE, { romIntact: false }),
  };
}
