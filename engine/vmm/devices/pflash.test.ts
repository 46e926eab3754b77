/** The flash chips: what each VMM's does with the command set, and where they part. */
import { describe, expect, test } from 'vitest';
import { blankVarstore } from '../../../scenarios/readonly-memory/flash/varstore.ts';
import { READ_ARRAY } from './cfi.ts';
import { chip } from './testing.ts';

describe('the flash chip', () => {
  test.each([
    [false, 0x80],
    [true, 0x90],
  ])('OVMF’s probe, drive read-only %s: 6 writes, 2 status reads, 4 slot operations', (readOnly, status) => {
    const c = chip(blankVarstore(0x2000), readOnly);
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

describe('what QEMU does that a real chip would not', () => {
  test('a buffered write that is not confirmed changes nothing (commit 284a7ee2e290)', () => {
    const c = chip(0x2000);
    c.memory.fill(0x5a);
    for (const [offset, value] of [
      [0, 0xe8],
      [0, 3],
      [0, 0x11],
      [1, 0x22],
      [2, 0x33],
      [3, 0x44],
      [0, READ_ARRAY],
    ])
      c.write(offset!, value!);
    expect([c.read(0, 4), c.seen.romd]).toEqual([0x5a5a_5a5a, true]);
  });

  test('a buffered write stages the block of its first data write, not of its set-up', () => {
    const c = chip(0x2000);
    c.write(0, 0xe8);
    c.write(0, 1);
    c.write(0x1100, 0xaa);
    c.write(0x1101, 0xbb);
    c.write(0x1100, 0xd0);
    c.write(0, READ_ARRAY);
    expect([c.memory[0], c.memory[0x1100], c.memory[0x1101]]).toEqual([0xff, 0xaa, 0xbb]);
  });

  test('data outside the staged block fails the whole write', () => {
    const c = chip(0x2000);
    for (const [offset, value] of [
      [0, 0xe8],
      [0, 1],
      [0, 1],
      [0x100, 2],
    ])
      c.write(offset!, value!);
    c.write(0, 0xd0);
    expect([c.memory[0], c.seen.romd]).toEqual([0xff, true]);
  });

  test('one store is one cycle, whatever its width', () => {
    const c = chip(0x2000);
    c.write(0, 0x1010_1010, 4);
    c.write(0, 0x4433_2211, 4);
    c.write(0, 0xffff_ffff, 4);
    expect([c.read(0, 4), c.seen]).toEqual([0x4433_2211, { writes: 3, slotOps: 2, romd: true }]);
  });

  test('in query mode everything but the return to array mode is ignored', () => {
    const c = chip(0x2000);
    c.write(0x55, 0x98);
    c.write(0, 0x70);
    c.write(0, 0xf0);
    expect([c.read(0x10), c.read(0x11), c.read(0x12)]).toEqual([0x51, 0x52, 0x59]);
    c.write(0, READ_ARRAY);
    expect(c.seen.slotOps).toBe(2);
  });

  test('the chip says that it is ready between the two cycles of an erase', () => {
    const c = chip(0x2000);
    c.write(0, 0x20);
    expect(c.read(0)).toBe(0x80);
  });

  test('two 16-bit chips on a bus of four bytes answer both, as on the virt machines', () => {
    const c = chip(0x8_0000, false, 'qemu-9', {
      width: 4,
      deviceWidth: 2,
      ids: [0x89, 0x18, 0, 0],
      blockBytes: 0x4_0000,
    });
    c.write(0x55 * 4, 0x98_0098, 4);
    expect(c.read(0x10 * 4, 4)).toBe(0x51_0051);
    c.write(0, READ_ARRAY * 0x1_0001, 4);
    c.write(0, 0x90_0090, 4);
    expect([c.read(0, 4), c.read(4, 4)]).toEqual([0x89_0089, 0x18_0018]);
    c.write(0, READ_ARRAY, 4);
    c.write(0, 0x70_0070, 4);
    expect(c.read(0, 4)).toBe(0x80_0080);
  });
});

describe('crosvm’s chip', () => {
  test('programs and erases single bytes at one address, and ignores wider stores', () => {
    const c = chip(0x2000, false, 'crosvm');
    c.write(5, 0x10);
    c.write(5, 0x12);
    c.write(6, 0x10);
    c.write(7, 0x34);
    c.write(8, 0x1010_1010, 4);
    expect([...c.memory.subarray(5, 9)]).toEqual([0x12, 0xff, 0xff, 0xff]);
    c.memory.fill(0, 0x1000);
    c.write(0x1000, 0x20);
    c.write(0x1000, 0xd0);
    expect([c.memory[0x1000], c.memory[0x1fff], c.flash.counts]).toEqual([
      0xff,
      0xff,
      { programs: 1, erases: 1 },
    ]);
  });

  test('tells its status once, and knows no query', () => {
    const c = chip(0x2000, false, 'crosvm');
    c.write(0, 0x70);
    expect([c.read(0), c.read(0)]).toEqual([0x80, 0xff]);
    c.write(0, 0x98);
    expect(c.read(0x10)).toBe(0xff);
    // It never has direct access again.
    expect(c.seen).toEqual({ writes: 2, slotOps: 1, romd: false });
  });
});

describe('kvmtool’s chips', () => {
  test('a word is programmed by two 32-bit stores', () => {
    const c = chip(0x2_0000, false, 'kvmtool');
    c.write(8, 0x40_0040, 4);
    c.write(8, 0x4433_2211, 4);
    expect(c.read(0, 4)).toBe(0x80_0080);
    c.write(0, 0xff_00ff, 4);
    expect([c.read(8, 4), c.seen]).toEqual([0x4433_2211, { writes: 3, slotOps: 2, romd: true }]);
  });

  test('a locked block keeps its bytes and says so, until it is unlocked', () => {
    const c = chip(0x2_0000, false, 'kvmtool');
    c.write(0x1_0000, 0x60);
    c.write(0x1_0000, 0x01);
    c.write(0x1_0000, 0x20);
    c.memory.fill(0, 0x1_0000);
    c.write(0x1_0000, 0xd0);
    expect([c.read(0), c.memory[0x1_0000]]).toEqual([0x92, 0]);
    c.write(0x1_0000, 0x60);
    c.write(0x1_0000, 0xd0);
    c.write(0x1_0000, 0x20);
    c.write(0x1_0000, 0xd0);
    expect([c.memory[0x1_0000], c.memory[0x1_ffff]]).toEqual([0xff, 0xff]);
  });

  test('a buffered write lands when it is confirmed, and not otherwise', () => {
    const c = chip(0x2_0000, false, 'kvmtool');
    c.write(0, 0xe8_00e8, 4);
    c.write(0, 1, 4);
    c.write(0x40, 0x1111_1111, 4);
    c.write(0x44, 0x2222_2222, 4);
    expect(c.memory[0x40]).toBe(0xff);
    c.write(0x40, 0xd0_00d0, 4);
    expect([...c.memory.subarray(0x40, 0x48)]).toEqual([0x11, 0x11, 0x11, 0x11, 0x22, 0x22, 0x22, 0x22]);
  });

  test('the query is read in units of the bus', () => {
    const c = chip(0x2_0000, false, 'kvmtool');
    c.write(0x55 * 4, 0x98_0098, 4);
    expect([c.read(0x10 * 4, 4), c.read(0x27 * 4), c.read(0x2d * 4)]).toEqual([0x51_0051, 16, 1]);
  });
});

test('a model nobody has is told by name', () => {
  expect(() => chip(0x2000, false, 'qemu-2' as 'qemu-9')).toThrow(
    /no flash model 'qemu-2' \(known: qemu-9, kvmtool, crosvm\)/,
  );
});
