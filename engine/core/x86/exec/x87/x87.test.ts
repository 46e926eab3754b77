/** x87 beyond arithmetic: what a store to memory shows of it. */
import { expect, test } from 'vitest';
import { Cpu } from '../../cpu/cpu.ts';
import { CPU_EXIT_HLT } from '../../ports.ts';
import { Regs } from '../../regs.ts';
import { FlatBus } from '../../testing.ts';

/** Runs 32-bit code over two doubles at 2000 and 2008; the double at 3000, and AX. */
function run(code: string, a: number, b: number) {
  const bus = new FlatBus(0x1_0000);
  const view = new DataView(bus.mem.buffer);
  view.setFloat64(0x2000, a, true);
  view.setFloat64(0x2008, b, true);
  bus.mem.set(Buffer.from(code.replaceAll(' ', ''), 'hex'), 0x1000);
  const regs = new Regs();
  regs.setup({ mode: 'prot32', regs: { rip: 0x1000, rsp: 0x7000 } });
  expect(new Cpu(regs, bus).run(50)).toBe(CPU_EXIT_HLT);
  return { result: view.getFloat64(0x3000, true), ax: regs.gpr[0]! & 0xffff, regs, view };
}

/** fninit; fld qword [2008]; fld qword [2000]; …; fstp qword [3000]; fnstsw ax; hlt */
const stack = (insn: string): string => `dbe3 dd0508200000 dd0500200000 ${insn} dd1d00300000 dfe0 f4`;

test.each([
  ['fsqrt', 'd9fa', 2, 0, Math.SQRT2],
  ['frndint', 'd9fc', 2.5, 0, 2],
  ['fscale', 'd9fd', 3, 4, 48],
  ['fprem', 'd9f8', 17, -5, 2],
  ['fprem1', 'd9f5', 18, 5, -2],
  ['fpatan', 'd9f3', -1, 0, Math.PI],
  ['fyl2x', 'd9f1', 8, 2, 6],
  ['f2xm1', 'd9f0', 0.5, 0, Math.SQRT2 - 1],
  ['fxtract; fxch', 'd9f4 d9c9', 40, 0, 5],
])('%s of %s', (_, insn, a, b, want) => {
  expect(run(stack(insn), a, b).result).toBeCloseTo(want, 14);
});

test.each([
  [1, 2, 0x0100],
  [2, 1, 0],
  [2, 2, 0x4000],
  [Number.NaN, 2, 0x4500],
])('fcom of %s and %s sets the condition codes', (a, b, codes) => {
  expect(run(stack('d8d1'), a, b).ax & 0x4500).toBe(codes);
});

test('fnsave and frstor keep the stack, and fnsave leaves an empty one', () => {
  // fnsave [4000]; fnstsw ax; frstor [4000]; fstp qword [3000]; hlt
  const { result, ax, regs } = run(
    'dbe3 dd0508200000 dd0500200000 dd3500400000 dfe0 dd2500400000 dd1d00300000 f4',
    1.5,
    -3,
  );
  expect([result, ax]).toEqual([1.5, 0]);
  expect(regs.st[regs.fpuTop]).toBe(-3);
});
