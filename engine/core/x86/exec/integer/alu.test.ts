import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Cpu } from '../../cpu/cpu.ts';
import { AF, CF, OF, PF, Regs, SF, ZF } from '../../regs.ts';
import { FlatBus } from '../../testing.ts';

/** `op rax, rbx` for each operand size: opcode of the 8-bit form, then what it does on bigints. */
const BINARY: readonly (readonly [
  string,
  number,
  (a: bigint, b: bigint, c: bigint) => bigint,
  'add' | 'sub' | 'logic',
])[] = [
  ['add', 0x00, (a, b) => a + b, 'add'],
  ['or', 0x08, (a, b) => a | b, 'logic'],
  ['adc', 0x10, (a, b, c) => a + b + c, 'add'],
  ['sbb', 0x18, (a, b, c) => a - b - c, 'sub'],
  ['and', 0x20, (a, b) => a & b, 'logic'],
  ['sub', 0x28, (a, b) => a - b, 'sub'],
  ['xor', 0x30, (a, b) => a ^ b, 'logic'],
  ['cmp', 0x38, (a, b) => a - b, 'sub'],
];
const PREFIX: Record<number, number[]> = { 1: [], 2: [0x66], 4: [], 8: [0x48] };

function run(code: number[], rax: bigint, rbx: bigint, flags: number): Regs {
  const bus = new FlatBus(0x2000);
  bus.mem.set(code, 0x1000);
  const regs = new Regs();
  regs.setup({ mode: 'long64', regs: { rip: 0x1000, rcx: Number(rbx & 0xffn) } });
  const halves = (v: bigint) => [Number(v & 0xffffffffn), Number(v >> 32n)];
  regs.gpr.set(halves(rax), 0);
  regs.gpr.set(halves(rbx), 6);
  regs.eflags = flags | 2;
  new Cpu(regs, bus).run(1);
  return regs;
}

/** ZF, SF and PF of a result. */
function resultFlags(r: bigint, bits: number): number {
  let parity = 0;
  for (let k = 0n; k < 8n; k++) parity ^= Number((r >> k) & 1n);
  return (r === 0n ? ZF : 0) | (r >> BigInt(bits - 1) ? SF : 0) | (parity === 0 ? PF : 0);
}

const value = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  fc.constantFrom(
    0n,
    1n,
    0x7fn,
    0x80n,
    0xffn,
    0x7fffn,
    0x8000n,
    0x7fffffffn,
    0x80000000n,
    0xffffffffn,
    2n ** 63n,
  ),
);
const size = fc.constantFrom(1, 2, 4, 8);

/** What register writes of each size leave of the old value. */
function merged(old: bigint, r: bigint, bytes: number): bigint {
  if (bytes >= 4) return r;
  const mask = (1n << BigInt(8 * bytes)) - 1n;
  return (old & ~mask) | r;
}

test('two-operand arithmetic and its flags agree with bigint arithmetic', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...BINARY),
      size,
      value,
      value,
      fc.boolean(),
      ([name, op, f, kind], bytes, x, y, carry) => {
        const bits = 8 * bytes;
        const a = BigInt.asUintN(bits, x);
        const b = BigInt.asUintN(bits, y);
        const c = carry ? 1n : 0n;
        const exact = f(a, b, c);
        const r = BigInt.asUintN(bits, exact);
        const regs = run([...PREFIX[bytes]!, op + (bytes === 1 ? 0 : 1), 0xd8], x, y, carry ? CF : 0);
        let want = resultFlags(r, bits);
        if (kind !== 'logic') {
          const signed = (v: bigint) => BigInt.asIntN(bits, v);
          const ideal = f(signed(a), signed(b), c);
          if (exact < 0n || exact >> BigInt(bits)) want |= CF;
          if (signed(ideal) !== ideal) want |= OF;
          if ((a ^ b ^ r) & 16n) want |= AF;
        }
        expect([name, bytes, regs.eflags]).toEqual([name, bytes, want | 2]);
        expect(regs.read().gpr[0]).toBe(name === 'cmp' ? x : merged(x, r, bytes));
      },
    ),
    { numRuns: 600 },
  );
});

test('INC, DEC and NEG', () => {
  const forms = [
    ['inc', 0xfe, 0xc0, (a: bigint) => a + 1n],
    ['dec', 0xfe, 0xc8, (a: bigint) => a - 1n],
    ['neg', 0xf6, 0xd8, (a: bigint) => -a],
  ] as const;
  fc.assert(
    fc.property(
      fc.constantFrom(...forms),
      size,
      value,
      fc.boolean(),
      ([name, op, modrm, f], bytes, x, carry) => {
        const bits = 8 * bytes;
        const a = BigInt.asUintN(bits, x);
        const r = BigInt.asUintN(bits, f(a));
        const regs = run([...PREFIX[bytes]!, op + (bytes === 1 ? 0 : 1), modrm], x, 0n, carry ? CF : 0);
        const ideal = f(BigInt.asIntN(bits, a));
        let want = resultFlags(r, bits) | (BigInt.asIntN(bits, ideal) === ideal ? 0 : OF);
        if (name === 'neg' ? a !== 0n : carry) want |= CF;
        expect([name, bytes, regs.eflags & ~AF]).toEqual([name, bytes, want | 2]);
        expect(regs.read().gpr[0]).toBe(merged(x, r, bytes));
      },
    ),
  );
});

test('shifts and rotates by CL: result, and CF where the count is below the width', () => {
  const forms = [
    ['rol', 0xc0],
    ['ror', 0xc8],
    ['shl', 0xe0],
    ['shr', 0xe8],
    ['sar', 0xf8],
  ] as const;
  fc.assert(
    fc.property(fc.constantFrom(...forms), size, value, fc.nat(63), ([name, modrm], bytes, x, count) => {
      const bits = 8 * bytes;
      const n = count % Math.min(bits, bytes === 8 ? 64 : 32);
      const a = BigInt.asUintN(bits, x);
      const N = BigInt(n);
      const B = BigInt(bits);
      const cut = (v: bigint) => BigInt.asUintN(bits, v);
      const results = {
        rol: cut((a << N) | (a >> (B - N))),
        ror: cut((a >> N) | (a << (B - N))),
        shl: cut(a << N),
        shr: a >> N,
        sar: cut(BigInt.asIntN(bits, a) >> N),
      };
      const regs = run([...PREFIX[bytes]!, bytes === 1 ? 0xd2 : 0xd3, modrm], x, BigInt(n), 0);
      const r = results[name];
      expect([name, bytes, n, regs.read().gpr[0]]).toEqual([name, bytes, n, merged(x, r, bytes)]);
      if (n === 0) return;
      const left = name === 'shl' ? (a >> (B - N)) & 1n : (a >> (N - 1n)) & 1n;
      const rotated = name === 'rol' ? r & 1n : r >> (B - 1n);
      const carry = name === 'rol' || name === 'ror' ? rotated : left;
      expect([name, regs.eflags & CF]).toEqual([name, Number(carry)]);
      if (name.startsWith('s')) expect(regs.eflags & (ZF | SF | PF)).toBe(resultFlags(r, bits));
    }),
    { numRuns: 400 },
  );
});

test('RCL and RCR are rotations of one bit more', () => {
  fc.assert(
    fc.property(fc.boolean(), size, value, fc.nat(31), fc.boolean(), (left, bytes, x, n, carry) => {
      const bits = 8 * bytes;
      const width = BigInt(bits + 1);
      const k = BigInt(n) % width;
      const wide = (BigInt(carry ? 1 : 0) << BigInt(bits)) | BigInt.asUintN(bits, x);
      const turned = left ? (wide << k) | (wide >> (width - k)) : (wide >> k) | (wide << (width - k));
      const r = BigInt.asUintN(bits + 1, turned);
      const regs = run(
        [...PREFIX[bytes]!, bytes === 1 ? 0xd2 : 0xd3, left ? 0xd0 : 0xd8],
        x,
        BigInt(n),
        carry ? CF : 0,
      );
      const want = n === 0 && bytes < 4 ? x : merged(x, BigInt.asUintN(bits, r), bytes);
      expect([left, bytes, n, regs.read().gpr[0]]).toEqual([left, bytes, n, want]);
      expect(regs.eflags & CF).toBe(Number(r >> BigInt(bits)));
    }),
  );
});

test('multiplication and division, double width', () => {
  fc.assert(
    fc.property(size, value, value, fc.boolean(), (bytes, x, y, isSigned) => {
      const bits = 8 * bytes;
      const fix = (v: bigint) => (isSigned ? BigInt.asIntN(bits, v) : BigInt.asUintN(bits, v));
      const p = fix(x) * fix(y);
      const regs = run([...PREFIX[bytes]!, bytes === 1 ? 0xf6 : 0xf7, isSigned ? 0xeb : 0xe3], x, y, 0);
      const gpr = regs.read().gpr;
      if (bytes === 1) expect(BigInt.asUintN(16, gpr[0]!)).toBe(BigInt.asUintN(16, p));
      else {
        expect(BigInt.asUintN(bits, gpr[0]!)).toBe(BigInt.asUintN(bits, p));
        expect(BigInt.asUintN(bits, gpr[2]!)).toBe(BigInt.asUintN(bits, p >> BigInt(bits)));
      }
      expect((regs.eflags & CF) !== 0).toBe(fix(p) !== p);
    }),
  );
});
