import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { CpuMode } from '../../../machine.ts';
import { Cpu } from '../cpu/cpu.ts';
import { EMULATION_FAILED, EMULATION_OK, EMULATION_RESTART, X86EMUL_IO_NEEDED } from '../ports.ts';
import { Regs, STATUS_FLAGS } from '../regs.ts';
import { FlatBus, FlatOps } from '../testing.ts';
import { Emulator } from './emulator.ts';

const CODE = 0x1000;
const DATA = 0x3000;

/** Instructions on the operand at [esi] (real mode: [si]), with ModRM.reg in `reg` or ESI kept out of the way. */
const SHARED: readonly (readonly [string, string])[] = [
  ...['add', 'or', 'adc', 'sbb', 'and', 'sub', 'xor', 'cmp'].flatMap((name, row): [string, string][] => {
    const op = (k: number) => (8 * row + k).toString(16).padStart(2, '0');
    return [
      [`${name} m8, r8`, `${op(0)}04`],
      [`${name} m, r`, `${op(1)}04`],
      [`${name} r8, m8`, `${op(2)}1c`],
      [`${name} r, m`, `${op(3)}1c`],
      [`${name} m, imm8`, `83${(0x04 + 8 * row).toString(16).padStart(2, '0')}f7`],
    ];
  }),
  ['mov m, r', '8904'],
  ['mov r8, m8', '8a1c'],
  ['mov m8, imm8', 'c6045a'],
  ['mov m16, sreg', '8c1c'],
  ['test', '8504'],
  ['xchg', '8704'],
  ['xchg 8', '8604'],
  ['inc', 'ff04'],
  ['dec 8', 'fe0c'],
  ['not', 'f714'],
  ['neg', 'f71c'],
  ['mul', 'f724'],
  ['imul', 'f72c'],
  ['imul r, m, imm8', '6b1cfb'],
  ['imul r, m', '0faf1c'],
  ['rol cl', 'd304'],
  ['ror 5', 'c10c05'],
  ['rcl cl', 'd214'],
  ['rcr 3', 'c11c03'],
  ['shl 1', 'd124'],
  ['shr cl', 'd32c'],
  ['sar 9', 'c13c09'],
  ['shld 7', '0fa41c07'],
  ['shrd cl', '0fad1c'],
  ['bt imm', '0fba2407'],
  ['bts imm', '0fba2c07'],
  ['btr imm', '0fba3407'],
  ['btc imm', '0fba3c1f'],
  ['bsf', '0fbc1c'],
  ['bsr', '0fbd1c'],
  ['cmpxchg', '0fb11c'],
  ['cmpxchg 8', '0fb01c'],
  ['cmpxchg8b', '0fc70c'],
  ['lock cmpxchg8b', 'f00fc70c'],
  ['xadd', '0fc11c'],
  ['lock xadd 8', 'f00fc01c'],
  ['lock add', 'f00104'],
  ['lock inc', 'f0ff04'],
  ['lock btr imm', 'f00fba3403'],
  ['movzx', '0fb61c'],
  ['movsx', '0fbf1c'],
  ['cmovs', '0f481c'],
  ['setle', '0f9e04'],
  ['movnti', '0fc304'],
  ['push m', 'ff34'],
  ['pop m', '8f04'],
  ['push r', '53'],
  ['pop r', '5b'],
  ['pushf', '9c'],
  ['call rel', 'e8fe00'],
  ['leave', 'c9'],
  ['enter', 'c8100000'],
  ['movsb', 'a4'],
  ['movs', 'a5'],
  ['stos', 'ab'],
  ['lods', 'ad'],
  ['scas', 'af'],
  ['cmps', 'a6'],
  ['xlat', 'd7'],
  ['movups load', '0f1004'],
  ['movups store', '0f1104'],
  ['movaps store', '0f2904'],
  ['movq mm', '0f7f04'],
  ['fnstcw', 'd93c'],
  ['smsw', '0f0124'],
  ['lea', '8d5c7c'],
  ['cwd', '99'],
  ['sahf', '9e'],
  ['lahf', '9f'],
];

/** ModRM bytes above are for 16-bit addressing, where `04` is [si]; with 32 bits [esi] is `06`. */
function adapt(hex: string, mode: CpuMode): string {
  const bytes = Buffer.from(hex, 'hex');
  if (mode === 'real16') return hex;
  let at = bytes[0] === 0xf0 ? 1 : 0;
  const twoByte = bytes[at] === 0x0f;
  if (twoByte) at++;
  const op = bytes[at]!;
  const noModrm = !twoByte && (hex.length === 2 || op === 0xe8 || op === 0xc8);
  if (noModrm) return op === 0xe8 ? `${hex}0000` : hex;
  const modrm = bytes[at + 1]!;
  if ((modrm & 7) === 4) bytes[at + 1] = modrm + 2;
  return bytes.toString('hex');
}

const reg32 = fc.integer().map((v) => v >>> 0);

function world(mode: CpuMode, hex: string, gpr: readonly number[], flags: number, data: Uint8Array) {
  const bus = new FlatBus(0x10000);
  bus.mem.set(Buffer.from(hex, 'hex'), CODE);
  bus.mem.set(data, DATA);
  const regs = new Regs();
  regs.setup({ mode, regs: { rip: CODE } });
  const width = mode === 'real16' ? 0x70 : 0;
  gpr.forEach((v, k) => {
    regs.gpr[2 * k] = v;
  });
  regs.gpr[2 * 6] = DATA + width;
  regs.gpr[2 * 7] = DATA + 0x40;
  regs.gpr[2 * 4] = 0x6000;
  regs.gpr[2 * 5] = 0x5000;
  if (hex.endsWith('d7')) regs.gpr[2 * 3] = DATA;
  regs.eflags = (flags & (STATUS_FLAGS | 0x400)) | 2;
  return { bus, regs };
}

test.each(['real16', 'prot32', 'long64'] as const)(
  '%s: processor and emulator agree on every shared instruction',
  (mode) => {
    fc.assert(
      fc.property(
        fc.constantFrom(...SHARED),
        fc.constantFrom('', '66'),
        fc.array(reg32, { minLength: 8, maxLength: 8 }),
        fc.integer(),
        fc.uint8Array({ minLength: 256, maxLength: 256 }),
        ([name, hex], prefix, gpr, flags, data) => {
          const vector = /^mov(ups|aps|q|nti)/.test(name);
          const code = (vector ? '' : prefix) + adapt(hex, mode);
          const a = world(mode, code, gpr, flags, data);
          const b = world(mode, code, gpr, flags, data);
          new Cpu(a.regs, a.bus).run(1);
          const emulator = new Emulator(b.regs, new FlatOps(b.bus));
          expect([name, emulator.decode()]).toEqual([name, EMULATION_OK]);
          expect([name, emulator.execute()]).toEqual([name, EMULATION_OK]);
          expect(emulator.haveException).toBe(false);
          b.regs.rip = emulator.eip;
          b.regs.eflags = emulator.eflags;
          expect([name, b.regs.read()]).toEqual([name, a.regs.read()]);
          expect([name, [...b.regs.ymm]]).toEqual([name, [...a.regs.ymm]]);
          expect([name, Buffer.compare(b.bus.mem, a.bus.mem)]).toEqual([name, 0]);
        },
      ),
      { numRuns: 400 },
    );
  },
);

function emulate(mode: CpuMode, hex: string, set: Record<string, number> = {}) {
  const bus = new FlatBus(0x10000);
  bus.mem.set(Buffer.from(hex.replaceAll(' ', ''), 'hex'), CODE);
  const regs = new Regs();
  regs.setup({ mode, regs: { rip: CODE, rsp: 0x6000, rsi: DATA, rdi: DATA + 0x40, ...set } });
  const ops = new FlatOps(bus);
  return { regs, bus, ops, emulator: new Emulator(regs, ops) };
}

test.each([
  ['vmovdqu [rsi], ymm0', 'c5fe7f06'],
  ['movss [rsi], xmm0', 'f30f1106'],
  ['movd [rsi], xmm0', '660f7e06'],
  ['movq [rsi], xmm0', '660fd606'],
  ['movntq [rsi], mm0', '0fe706'],
  ['fst dword [rsi]', 'd916'],
  ['fistp word [rsi]', 'df1e'],
  ['stmxcsr [rsi]', '0fae1e'],
  ['popcnt ebx, [rsi]', 'f30fb81e'],
  ['crc32 ebx, [rsi]', 'f20f38f11e'],
  ['movbe [rsi], ax', '660f38f106'],
  ['movups with 66 and F3', '66f30f1106'],
  ['ud2', '0f0b'],
])('decoding fails for %s', (_name, hex) => {
  expect(emulate('long64', hex).emulator.decode()).toBe(EMULATION_FAILED);
});

test('what decodes but cannot be done fails when executed', () => {
  for (const [mode, hex] of [
    ['long64', '480fc70e'],
    ['prot32', 'c8080001'],
    ['prot32', 'cd10'],
    ['long64', '0fae06'],
  ] as const) {
    const { emulator, regs } = emulate(mode, hex);
    const before = regs.read();
    expect(emulator.decode()).toBe(EMULATION_OK);
    expect([hex, emulator.execute()]).toEqual([hex, EMULATION_FAILED]);
    expect(regs.read()).toEqual(before);
  }
});

test('LOCK goes through compare-and-exchange, XCHG always, and is #UD where it is not allowed', () => {
  for (const [hex, log] of [
    ['f00106', ['r 3000 4', 'l 3000 4']],
    ['8706', ['r 3000 4', 'l 3000 4']],
    ['0106', ['r 3000 4', 'w 3000 4']],
    ['8906', ['w 3000 4']],
    ['3906', ['r 3000 4']],
    ['60', [28, 24, 20, 16, 12, 8, 4, 0].map((at) => `w ${(0x5fe0 + at).toString(16)} 4`)],
    ['f00fc70e', ['r 3000 8', 'l 3000 8']],
  ] as const) {
    const { emulator, ops } = emulate('prot32', hex);
    emulator.decode();
    expect(emulator.execute()).toBe(EMULATION_OK);
    expect([hex, ops.log]).toEqual([hex, log]);
  }
  for (const hex of ['f08906', 'f001c8', 'f00fa306']) {
    const { emulator } = emulate('prot32', hex);
    expect(emulator.decode()).toBe(EMULATION_OK);
    expect(emulator.execute()).toBe(EMULATION_OK);
    expect([emulator.haveException, emulator.vector, emulator.errorCode]).toEqual([true, 6, -1]);
  }
});

test('marks: page-table stores, instructions with two memory operands', () => {
  const marks = (hex: string) => {
    const { emulator } = emulate('prot32', hex);
    emulator.decode();
    return [emulator.pageTableTagged, emulator.canUseGpa()];
  };
  for (const hex of [
    '0906',
    '2106',
    '8306f1'.replace('06', '0e'),
    '8706',
    '8906',
    'c606aa',
    '0fb106',
    '0fc70e',
    '0fba2e01',
  ]) {
    expect([hex, marks(hex)]).toEqual([hex, [true, true]]);
  }
  for (const hex of ['0106', '2906', '830601', 'ff06', '0fc106', '0fba3601', 'd126', '0f1106']) {
    expect([hex, marks(hex)]).toEqual([hex, [false, true]]);
  }
  for (const hex of ['a4', 'f3aa', '8f06', 'ff36', 'a7'])
    expect([hex, marks(hex)]).toEqual([hex, [false, false]]);
});

test('a repeated store is one element at a time, and the last goes back to the guest with rip unmoved', () => {
  const { emulator, regs, ops } = emulate('prot32', 'f3aa', { rcx: 3, rax: 0x11 });
  emulator.decode();
  expect(emulator.execute()).toBe(EMULATION_RESTART);
  expect([regs.gpr[2], regs.gpr[14]]).toEqual([2, DATA + 0x41]);
  expect(emulator.execute()).toBe(EMULATION_RESTART);
  expect(emulator.execute()).toBe(EMULATION_OK);
  expect([regs.gpr[2], emulator.eip]).toEqual([0, CODE]);
  expect(emulator.execute()).toBe(EMULATION_OK);
  expect(emulator.eip).toBe(CODE + 2);
  expect(ops.log.length).toBe(3);
});

test('what was read before userspace had to answer is not read again', () => {
  const { emulator, ops, regs } = emulate('prot32', 'a7', { rax: 1 });
  const read = ops.readEmulated.bind(ops);
  let refuse = true;
  ops.readEmulated = (linear, n) => (linear >= DATA + 0x40 && refuse ? X86EMUL_IO_NEEDED : read(linear, n));
  emulator.decode();
  expect(emulator.execute()).toBe(EMULATION_OK);
  expect([emulator.eip, regs.gpr[12]]).toEqual([CODE, DATA]);
  refuse = false;
  expect(emulator.execute()).toBe(EMULATION_OK);
  expect([emulator.eip, regs.gpr[12]]).toEqual([CODE + 1, DATA + 4]);
  expect(ops.log).toEqual(['r 3000 4', 'r 3040 4']);
});

test('limits, alignment and stray LOCKs are the guest’s exceptions', () => {
  const real = emulate('real16', '8905', { rdi: 0xffff });
  real.emulator.decode();
  expect(real.emulator.execute()).toBe(EMULATION_OK);
  expect([real.emulator.vector, real.emulator.errorCode]).toEqual([13, 0]);
  const aligned = emulate('prot32', '0f2906', { rsi: DATA + 1 });
  aligned.emulator.decode();
  aligned.emulator.execute();
  expect([aligned.emulator.haveException, aligned.emulator.vector, aligned.ops.log]).toEqual([true, 13, []]);
});

test('SGDT to memory that is not there gets nowhere', () => {
  const { emulator, ops, regs } = emulate('prot32', '0f0106');
  ops.writeStd = () => X86EMUL_IO_NEEDED;
  emulator.decode();
  expect(emulator.execute()).toBe(EMULATION_OK);
  expect([emulator.haveException, emulator.eip]).toEqual([false, CODE]);
  expect(regs.rip).toBe(CODE);
});
