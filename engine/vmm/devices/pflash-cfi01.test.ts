/** The flash chip: the command set, the closed forms of its exits, and the whole recorded boot. */
import { describe, expect, test } from 'vitest';
import {
  anatomy,
  BLOCK_BYTES,
  blankVarstore,
  closedForms,
  recordedCommands,
  VARSTORE_BYTES,
} from '../../../scenarios/readonly-memory/flash/varstore.ts';
import { fnv1a64 } from '../../fnv.ts';
import { PflashCfi01, READ_ARRAY } from './pflash-cfi01.ts';

/** A chip over plain bytes, with the counts a VMM would keep. */
function chip(bytes: number, readOnly = false) {
  const memory = blankVarstore(bytes);
  const seen = { writes: 0, slotOps: 0, romd: true };
  const flash = new PflashCfi01(
    {
      bytes,
      get: (offset) => memory[offset] ?? 0,
      set: (offset, value) => {
        memory[offset] = value;
      },
      romd(on) {
        seen.slotOps += 1;
        seen.romd = on;
      },
    },
    { blockBytes: BLOCK_BYTES, readOnly },
  );
  const data = new Uint8Array(8);
  return {
    memory,
    seen,
    flash,
    write(offset: number, value: number): void {
      data[0] = value;
      seen.writes += 1;
      flash.write(offset, 1, data);
    },
    read(offset: number): number {
      flash.read(offset, 1, data);
      return data[0] ?? 0;
    },
  };
}

describe('the flash chip', () => {
  test.each([
    [false, 0x80],
    [true, 0x90],
  ])('OVMF’s probe, drive read-only %s: 6 writes, 2 status reads, 4 slot operations', (readOnly, status) => {
    const c = chip(0x2000, readOnly);
    c.write(16, 0x50);
    expect(c.read(16)).toBe(0x8d);
    c.write(16, 0x70);
    expect(c.read(16)).toBe(0);
    for (const value of [0x10, 0x8d, 0x70]) c.write(16, value);
    expect(c.read(16)).toBe(status);
    c.write(16, READ_ARRAY);
    expect(c.seen).toEqual({ writes: 6, slotOps: 4, romd: true });
  });

  test('programming N bytes: 2 N + 1 writes, 2 slot operations', () => {
    const c = chip(0x2000);
    for (let i = 0; i < 100; i++) {
      c.write(0x100 + i, 0x10);
      c.write(0x100 + i, i);
    }
    c.write(0x100, READ_ARRAY);
    expect(c.seen).toEqual({ writes: 201, slotOps: 2, romd: true });
    expect(c.memory[0x163]).toBe(99);
  });

  test('erasing a block: 2 writes, and the chip stays in command mode', () => {
    const c = chip(0x2000);
    c.memory.fill(0, 0x1000);
    c.write(0x1234, 0x20);
    c.write(0x1234, 0xd0);
    expect(c.seen).toEqual({ writes: 2, slotOps: 1, romd: false });
    expect([c.memory[0x1000], c.memory[0x1fff], c.read(0x1000)]).toEqual([0xff, 0xff, 0x80]);
  });

  test('256 bytes through the write buffer: 260 writes with the return to array mode', () => {
    const c = chip(0x2000);
    c.write(0, 0xe8);
    c.write(0, 255);
    for (let i = 0; i < 256; i++) c.write(i, i);
    c.write(0, 0xd0);
    c.write(0, READ_ARRAY);
    expect(c.seen).toEqual({ writes: 260, slotOps: 2, romd: true });
    expect(c.memory.subarray(0, 256)).toEqual(Uint8Array.from({ length: 256 }, (_, i) => i));
  });

  test('a read-only drive keeps its bytes and says so', () => {
    const c = chip(0x2000, true);
    c.write(0x40, 0x10);
    c.write(0x40, 0);
    expect([c.memory[0x40], c.read(0x40)]).toEqual([0xff, 0x90]);
    c.write(0, READ_ARRAY);
    c.write(0, 0x20);
    expect(c.read(0) & 0x20).toBe(0x20);
  });
});

describe('the recorded boot', () => {
  const known = anatomy(recordedCommands(), blankVarstore(VARSTORE_BYTES));
  const c = chip(VARSTORE_BYTES);
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
