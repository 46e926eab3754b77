/** The guest's way to memory: loads and stores of every width wherever they lie, and stores into code that has run. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PROT_READ, PROT_WRITE } from '../../abi.ts';
import { KVM_EXIT_HLT } from '../../exits.ts';
import { CoreMachine } from '../core-machine.ts';

const CODE = 0x1000;
const DATA = 0x2_0000;
const DATA_BYTES = 3 * 4096;

/** 192 KiB of RAM at 0, and the code at 0x1000 in flat 32-bit mode. */
function run(code: readonly number[], more: Readonly<Record<number, readonly number[]>> = {}) {
  const m = new CoreMachine({ series: [] });
  const backing = m.createBacking({ kind: 'shm', bytes: 0x3_0000 });
  const userspaceAddr = m.mmap({ backing, prot: PROT_READ | PROT_WRITE, shared: true });
  m.setUserMemoryRegion({ slot: 0, flags: 0, guestPhysAddr: 0, memorySize: 0x3_0000, userspaceAddr });
  m.poke(backing, CODE, Uint8Array.from(code));
  for (const [at, bytes] of Object.entries(more)) m.poke(backing, Number(at), Uint8Array.from(bytes));
  m.setupVcpu({ mode: 'prot32', regs: { rip: CODE, rsp: 0x8000 } });
  expect(m.run()).toBe(0);
  expect(m.exit.reason).toBe(KVM_EXIT_HLT);
  return { gpr: m.getRegs().gpr, data: m.peek(backing, DATA, DATA_BYTES) };
}

const le = (n: number, value: number): number[] =>
  Array.from({ length: n }, (_, k) => (value >>> (8 * k)) & 0xff);
const HLT = 0xf4;

interface Access {
  readonly bytes: number;
  readonly at: number;
  readonly value: number;
  readonly write: boolean;
}

/** `mov [at], value`; or `movzx eax, [at]; add ebx, eax`. */
function encode({ bytes, at, value, write }: Access): number[] {
  const address = le(4, DATA + at);
  if (write) {
    const op = bytes === 1 ? [0xc6] : bytes === 2 ? [0x66, 0xc7] : [0xc7];
    return [...op, 0x05, ...address, ...le(bytes, value)];
  }
  const op = bytes === 1 ? [0x0f, 0xb6] : bytes === 2 ? [0x0f, 0xb7] : [0x8b];
  return [...op, 0x05, ...address, 0x01, 0xc3];
}

test('memory is bytes: whatever widths are stored, wherever they lie, is what is loaded', () => {
  const place = fc.oneof(
    fc.integer({ min: 0, max: DATA_BYTES - 4 }),
    // Around the ends of pages, where an access is two.
    fc.integer({ min: -4, max: 3 }).map((d) => 4096 + d),
    fc.integer({ min: -4, max: 3 }).map((d) => 8192 + d),
  );
  const access = fc.record({
    bytes: fc.constantFrom(1, 2, 4),
    at: place,
    value: fc.integer({ min: 0, max: 0xffff_ffff }),
    write: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(access, { minLength: 1, maxLength: 60 }), (accesses) => {
      const model = new Uint8Array(DATA_BYTES);
      let sum = 0;
      for (const { bytes, at, value, write } of accesses) {
        for (let k = bytes - 1, v = 0; k >= 0; k--) {
          if (write) model[at + k] = (value >>> (8 * k)) & 0xff;
          else v = v * 256 + model[at + k]!;
          if (k === 0 && !write) sum = (sum + v) >>> 0;
        }
      }
      const { gpr, data } = run([...accesses.flatMap(encode), HLT]);
      expect(Number(gpr[3])).toBe(sum);
      expect(data).toEqual(model);
    }),
    { numRuns: 60, seed: 7 },
  );
});

describe('code that changes', () => {
  const storeByte = (at: number, value: number): number[] => [0xc6, 0x05, ...le(4, at), value];
  const call = (from: number, to: number): number[] => [0xe8, ...le(4, to - (from + 5))];
  const GIVE_1 = [0xb0, 1, 0xc3]; // mov al, 1; ret

  test('a store into code that has run is what runs next, though the page was written before it was code', () => {
    const code = storeByte(DATA + 0x800, 0);
    code.push(...call(CODE + code.length, DATA));
    code.push(0x88, 0xc3); // mov bl, al
    code.push(...storeByte(DATA + 1, 0x77));
    code.push(...call(CODE + code.length, DATA), HLT);
    const { gpr } = run(code, { [DATA]: GIVE_1 });
    expect([gpr[3], gpr[0]]).toEqual([1n, 0x77n]);
  });

  test('so is one of four bytes that begins on the page before', () => {
    const at = DATA + 4096;
    const code = call(CODE, at);
    // c7 05: mov dword [at - 2], 0x77b0....
    code.push(0xc7, 0x05, ...le(4, at - 2), 0, 0, 0xb0, 0x77);
    code.push(...call(CODE + code.length, at), HLT);
    expect(run(code, { [at]: GIVE_1 }).gpr[0]).toBe(0x77n);
  });

  test('and one into the very page that runs', () => {
    // 1: mov al, 1; test bl, bl; jnz 2f; inc ebx; mov byte [1b + 1], 0x77; jmp 1b; 2: hlt
    const code = [0xb0, 1, 0x84, 0xdb, 0x75, 10, 0x43, ...storeByte(CODE + 1, 0x77), 0xeb, 0xf0, HLT];
    expect(run(code).gpr[0]).toBe(0x77n);
  });
});
