/** OVMF's recorded first boot on QEMU's chip: its commands, their closed form, and the bytes they leave. */
import { describe, expect, test } from 'vitest';
import {
  anatomy,
  blankVarstore,
  closedForms,
  recordedCommands,
  VARSTORE_BYTES,
} from '../../../scenarios/readonly-memory/flash/varstore.ts';
import { fnv1a64 } from '../../fnv.ts';
import { READ_ARRAY } from './cfi.ts';
import { chip } from './testing.ts';

describe('the recorded boot', () => {
  const known = anatomy(recordedCommands(), blankVarstore(VARSTORE_BYTES));
  const c = chip(blankVarstore(VARSTORE_BYTES));
  for (const { write, offset, value } of recordedCommands()) {
    if (write) c.write(offset, value);
    else if (c.read(offset) !== value) throw new Error(`read at ${offset}`);
  }

  test('is 32,744 writes: a probe of 3, and 267 stretches of 2 N + 1', () => {
    const { stretches, probe, reads } = known;
    expect([stretches.length, stretches.reduce((sum, n) => sum + n, 0)]).toEqual([267, 16_237]);
    expect([probe, reads]).toEqual([[0x50, 0x70, READ_ARRAY], 1]);
    expect(closedForms(known)).toEqual({ writes: 2 * 16_237 + 267 + 3, excursions: 267 + 2 });
    expect(recordedCommands().filter((c) => c.write).length).toBe(closedForms(known).writes);
  });

  test('a command that belongs to no stretch is not hidden by the closed form', () => {
    const commands = recordedCommands().filter((c) => c.write);
    const blank = blankVarstore(VARSTORE_BYTES);
    const without = closedForms(anatomy(commands.slice(0, -1), blank));
    expect(without.writes).not.toBe(commands.length - 1);
  });

  test('leaves the bytes that the programs add up to, after 2 slot operations an excursion', () => {
    expect(c.memory).toEqual(known.contents);
    expect(fnv1a64(c.memory)).toBe(fnv1a64(known.contents));
    expect(c.seen).toEqual({ writes: 32_744, slotOps: 2 * closedForms(known).excursions, romd: true });
    expect(c.flash.counts).toEqual({ programs: 16_237, erases: 0 });
  });
});
