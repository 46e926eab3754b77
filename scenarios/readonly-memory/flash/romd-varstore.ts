/** Real input: the flash commands of OVMF's first boot, sent again by a guest program that reads them from RAM. */

import { fnv1a64 } from '../../../engine/fnv.ts';
import { FLASH_MODELS } from '../../../engine/vmm/devices/cfi.ts';
import { pflash } from '../../../engine/vmm/devices/pflash.ts';

import { count, ends, everyStrategy, lives, same } from '../../language/claims.ts';
import { flashTable, flashTableBytes, runFlashTable } from '../../language/flash-table.ts';
import { sumOf } from '../../language/image.ts';
import { choice } from '../../language/params.ts';
import { ram, rom } from '../../language/regions.ts';
import { at, eax, ecx, edi } from '../../language/registers.ts';
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
} from '../sources.ts';
import {
  type Anatomy,
  anatomy,
  BLOCK_BYTES,
  blankVarstore,
  closedForms,
  recordedCommands,
  VARIABLES_BYTES,
  VARSTORE_BYTES,
} from './varstore.ts';

const COMMANDS_MAX = 32_768;
const ROMD = 'Xiao, 16 August 2012: ROMD cannot be implemented, because a write to it is an MMIO access';

/** The recording's closed forms; worked out when first asked for, since listing scenarios should read no file. */
let known: (Anatomy & ReturnType<typeof closedForms> & { written: string; blank: string }) | undefined;
function expected(): NonNullable<typeof known> {
  if (known !== undefined) return known;
  const blank = blankVarstore(VARSTORE_BYTES);
  const parts = anatomy(recordedCommands(), blank);
  known = { ...parts, ...closedForms(parts), written: fnv1a64(parts.contents), blank: fnv1a64(blank) };
  return known;
}

export default defineScenario({
  name: 'romd-varstore',
  asks: 'Can OVMF keep its variables in flash: 32,744 commands, recorded from a real boot?',
  operation: 'flash command',
  source: ROMD,
  params: { flash: choice(FLASH_MODELS, 'whose chip; the recording is of a QEMU') },
  memory: {
    table: ram(0x20_0000, flashTableBytes(COMMANDS_MAX), {
      content: (bytes) => flashTable(recordedCommands(), bytes),
    }),
    flash: rom(0xffc0_0000, VARSTORE_BYTES, {
      content: blankVarstore,
      device: pflash({ blockBytes: BLOCK_BYTES }),
    }),
  },
  guest(g, { table, flash }) {
    runFlashTable(g, table.at, flash.at);
    // Back in array mode: the variables are read as memory.
    g.clear(eax);
    g.clear(ecx);
    g.times(VARIABLES_BYTES / 4, () => {
      g.addFrom(eax, at(edi));
      g.addTo(edi, 4);
    });
    g.halt();
  },
  operations: () => expected().writes,
  expect: () => ({ ebx: 0, eax: sumOf(expected().contents, VARIABLES_BYTES / 4, 4) }),
  observe: (vmm) => ({ contents: fnv1a64(vmm.memory('flash').peek(0, VARSTORE_BYTES)) }),
  claims({ params: { flash } }) {
    if (flash !== 'qemu-9') return {};
    const { stretches, probe, writes, reads, excursions, written, blank } = expected();
    const probed = excursions - stretches.length;
    const replayed = {
      exits: {
        'mmio-write': count(`sum of 2 N + 1 over ${stretches.length} stretches, + ${probe.length}`, writes),
        'mmio-read': count('reads in command mode', reads),
      },
      slotOps: count(
        `2 × (${stretches.length} stretches + ${probed} excursions of the probe)`,
        2 * excursions,
      ),
      operations: writes,
      observed: { contents: written },
    };
    return everyStrategy({
      ...same(
        UNFLAGGED_READONLY,
        ends('efault', ROMD, { operations: 0, slotOps: 0, observed: { contents: blank } }),
      ),
      'gup-nowait-reasons': lives(GUP_REASONS, replayed),
      ...same([...FLAGGED, 'readonly-memslot-v3'], lives(FLAG, replayed)),
      'private-cow': ends('corrupt', COPY_ON_WRITE, { romIntact: true, observed: { contents: blank } }),
      'no-slot-mmio': lives(NO_SLOT, {
        ...replayed,
        exits: {
          'mmio-write': count('as with a slot', writes),
          'mmio-read': count(
            'reads in command mode, + 4096 words read at the end',
            reads + VARIABLES_BYTES / 4,
          ),
        },
        slotOps: 0,
      }),
      'writable-slot': ends('corrupt', WRITABLE, { romIntact: false, slotOps: 0 }),
      'efault-skip': ends('corrupt', `${SKIPS}; the flash never hears of it`, {
        romIntact: true,
        exits: { efault: count('every command', writes) },
        observed: { contents: blank },
      }),
    });
  },
});
