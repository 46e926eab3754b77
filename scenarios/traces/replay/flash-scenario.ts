/** A log of what QEMU's flash device was asked, as a scenario: the same stores and loads by a guest, to a flash of our own. */
import { pflash } from '../../../engine/vmm/devices/pflash.ts';
import { flashTable, flashTableBytes, runFlashTable } from '../../language/flash-table.ts';
import { ram, rom } from '../../language/regions.ts';
import { defineScenario, type Scenario } from '../../language/scenario.ts';
import type { FlashAccess } from '../read/trace-event.ts';

/** Where the table of accesses and the flash are in the guest's memory. */
const TABLE_AT = 0x20_0000;
const FLASH_AT = 0xff00_0000;
/** Bytes of an erase block, as QEMU's PC machines have them. */
const BLOCK_BYTES = 0x1000;
/** The most accesses that are replayed: their table is memory of the guest's, and it has to fit below the flash. */
const FLASH_ACCESSES_MAX = 2 ** 24;

/** The scenario, or why there is none. */
export function flashScenario(accesses: readonly FlashAccess[]): Scenario | { readonly error: string } {
  const devices = [...new Set(accesses.map((a) => a.device))];
  if (devices.length > 1)
    return { error: `it has ${devices.length} flash devices (${devices.join(', ')}): keep one of them` };
  const wide = accesses.find((a) => a.size !== 1);
  if (wide !== undefined)
    return {
      error: `an access of ${wide.size} bytes at offset ${wide.offset.toString(16)}: only bytes can be replayed`,
    };
  const bytes = Math.ceil((Math.max(...accesses.map((a) => a.offset)) + 1) / BLOCK_BYTES) * BLOCK_BYTES;
  if (FLASH_AT + bytes > 2 ** 32)
    return { error: `offsets up to ${bytes.toString(16)}: a flash of more than 16 MiB` };
  if (accesses.length > FLASH_ACCESSES_MAX) return { error: `more than ${FLASH_ACCESSES_MAX} accesses` };
  return scenarioOf(accesses, bytes);
}

function scenarioOf(accesses: readonly FlashAccess[], bytes: number): Scenario {
  const writes = accesses.filter((a) => a.write).length;
  return defineScenario({
    name: 'flash-log',
    asks: `Does a flash under this strategy do what QEMU's did: ${writes.toLocaleString('en-US')} commands, recorded?`,
    operation: 'flash command',
    source: "a log of QEMU's pflash trace points",
    memory: {
      table: ram(TABLE_AT, flashTableBytes(accesses.length), { content: (n) => flashTable(accesses, n) }),
      flash: rom(FLASH_AT, bytes, {
        content: (n) => new Uint8Array(n).fill(0xff),
        device: pflash({ blockBytes: BLOCK_BYTES, model: 'qemu-9' }),
      }),
    },
    guest(g, { table, flash }) {
      runFlashTable(g, table.at, flash.at);
      g.halt();
    },
    operations: () => writes,
    expect: () => ({ ebx: 0 }),
  });
}
