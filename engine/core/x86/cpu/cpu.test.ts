import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { CpuMode } from '../../../machine.ts';
import {
  CPU_EXIT_BUDGET,
  CPU_EXIT_HLT,
  CPU_EXIT_IO,
  CPU_EXIT_NPF,
  CPU_EXIT_SHUTDOWN,
  CPU_EXIT_UD,
  CPU_EXIT_UNSUPPORTED,
  CPU_OK,
} from '../ports.ts';
import { CF, RCX, RDI, Regs, ZF } from '../regs.ts';
import { FlatBus } from '../testing.ts';
import { Cpu } from './cpu.ts';

const CODE = 0x1000;

function machine(mode: CpuMode, hex: string, regs: Record<string, number> = {}) {
  const bus = new FlatBus(0x20000);
  bus.mem.set(Buffer.from(hex.replaceAll(' ', ''), 'hex'), regs.rip ?? CODE);
  const state = new Regs();
  state.setup({ mode, regs: { rip: CODE, rsp: 0x7000, ...regs } });
  return { bus, regs: state, cpu: new Cpu(state, bus) };
}

test('a loop runs to HLT with rip behind it, and every instruction is counted', () => {
  // mov ecx, 5; 1: add eax, ecx; dec ecx; jnz 1b; hlt
  const { cpu, regs } = machine('prot32', 'b905000000 01c8 49 75fb f4');
  expect(cpu.run(1000)).toBe(CPU_EXIT_HLT);
  expect(regs.gpr[0]).toBe(15);
  expect(regs.rip).toBe(CODE + 11);
  expect(regs.eflags & ZF).toBe(ZF);
  expect(cpu.instructions).toBe(1 + 15 + 1);
});

test('what the processor lacks is #UD; what only this core lacks has an exit of its own', () => {
  // ud2, and vaddps zmm0, zmm1, zmm2: no AVX-512 there
  for (const hex of ['0f0b', '62f1744858c2']) {
    const { cpu, regs } = machine('prot32', `90 ${hex}`);
    expect(cpu.run(10)).toBe(CPU_EXIT_UD);
    expect(regs.rip).toBe(CODE + 1);
  }
  // vfmadd132ps xmm0, xmm1, xmm2
  const { cpu, regs } = machine('prot32', '90 c4e27198c2');
  expect(cpu.run(10)).toBe(CPU_EXIT_UNSUPPORTED);
  expect(regs.rip).toBe(CODE + 1);
});

test('the budget is exact, also inside a repeated string instruction', () => {
  const { cpu, regs } = machine('prot32', 'eb fe');
  expect(cpu.run(77)).toBe(CPU_EXIT_BUDGET);
  expect(cpu.instructions).toBe(77);
  expect(regs.rip).toBe(CODE);
  const rep = machine('prot32', 'f3aa f4', { rcx: 100, rdi: 0x3000, rax: 0x5a });
  expect(rep.cpu.run(40)).toBe(CPU_EXIT_BUDGET);
  expect(rep.regs.gpr[2 * RCX]).toBe(60);
  expect(rep.regs.rip).toBe(CODE);
  expect(rep.cpu.run(1000)).toBe(CPU_EXIT_HLT);
  expect(rep.bus.mem.subarray(0x3000, 0x3065)).toEqual(new Uint8Array(101).fill(0x5a, 0, 100));
});

test('code that rewrites the next instruction runs the new one', () => {
  // mov byte [0x100a], 0x43; nop; nop; nop; nop -> inc ebx at 0x100a; hlt
  const { cpu, regs } = machine('prot32', 'c6050a10000043 90 90 90 90 f4');
  expect(cpu.run(100)).toBe(CPU_EXIT_HLT);
  expect(regs.gpr[6]).toBe(1);
  expect(cpu.codeWrites).toBe(1);
});

test('memory changed between two runs is decoded anew', () => {
  const { cpu, regs, bus } = machine('prot32', '40 ebfd');
  cpu.run(10);
  const eax = regs.gpr[0]!;
  bus.write8(CODE, 0x48);
  cpu.run(10);
  expect(regs.gpr[0]).toBe(eax - 5);
});

test('an instruction on two pages runs, and its second page can be refused', () => {
  const { cpu, regs } = machine('prot32', 'b878563412 f4', { rip: 0x1ffe });
  expect(cpu.run(10_000)).toBe(CPU_EXIT_HLT);
  expect(regs.gpr[0]).toBe(0x12345678);
  const end = machine('prot32', 'b878', { rip: 0x1fffe });
  expect(end.cpu.run(10_000)).toBe(CPU_EXIT_NPF);
  expect(end.regs.rip).toBe(0x1fffe);
});

test('DF makes strings run down; REPE CMPS stops at the first difference', () => {
  const down = machine('prot32', 'fd f3a4 f4', { rcx: 4, rsi: 0x3003, rdi: 0x4003 });
  down.bus.mem.set([1, 2, 3, 4], 0x3000);
  expect(down.cpu.run(100)).toBe(CPU_EXIT_HLT);
  expect([...down.bus.mem.subarray(0x4000, 0x4004)]).toEqual([1, 2, 3, 4]);
  expect(down.regs.gpr[2 * RDI]).toBe(0x3fff);
  const compare = machine('prot32', 'f3a6 f4', { rcx: 9, rsi: 0x3000, rdi: 0x4000 });
  compare.bus.mem[0x3002] = 7;
  compare.cpu.run(100);
  expect(compare.regs.gpr[2 * RCX]).toBe(6);
  expect(compare.regs.eflags & (ZF | CF)).toBe(0);
});

test('OUT and IN leave to the VMM with rip at the instruction until advance()', () => {
  const { cpu, regs } = machine('real16', 'b007 e6e0 f4');
  expect(cpu.run(10)).toBe(CPU_EXIT_IO);
  expect(cpu.io).toMatchObject({ port: 0xe0, size: 1, isIn: false, isString: false, value: 7 });
  expect(regs.rip).toBe(CODE + 2);
  cpu.advance();
  expect(cpu.run(10)).toBe(CPU_EXIT_HLT);
});

test('undefined opcodes and misplaced LOCK are #UD with rip at the instruction', () => {
  for (const hex of ['0f0b', 'f001c8', 'f08b06', 'f090', '0fff', 'c5fe6f06']) {
    const { cpu, regs } = machine('prot32', hex);
    expect([hex, cpu.run(10)]).toEqual([hex, CPU_EXIT_UD]);
    expect(regs.rip).toBe(CODE);
  }
  expect(machine('long64', 'c5fe6f06 f4', { rsi: 0x3000 }).cpu.run(10)).toBe(CPU_EXIT_HLT);
});

test('exceptions: real mode goes through the vector table, other modes find no gate', () => {
  // xor dx, dx; div dx
  const real = machine('real16', '31d2 f7f2');
  real.bus.mem.set([0x00, 0x30, 0x00, 0x00], 0);
  real.bus.mem[0x3000] = 0xf4;
  expect(real.cpu.run(10)).toBe(CPU_EXIT_HLT);
  expect(real.regs.rip).toBe(0x3001);
  expect(real.bus.read16(0x6ffa)).toBe(CODE + 2);
  expect(machine('prot32', '31d2 f7f2').cpu.run(10)).toBe(CPU_EXIT_SHUTDOWN);
  const injected = machine('prot32', 'f4');
  expect(injected.cpu.deliver(6, -1)).toBe(CPU_EXIT_SHUTDOWN);
  const queued = machine('real16', 'f4');
  queued.bus.mem.set([0x34, 0x12, 0x00, 0x00], 24);
  expect(queued.cpu.deliver(6, -1)).toBe(CPU_OK);
  expect(queued.regs.rip).toBe(0x1234);
});

/** Instructions with several accesses; esi, edi and esp point into memory. */
const RESTARTABLE = [
  ['add [esi], eax', '0106'],
  ['adc [esi], eax', '1106'],
  ['xchg [esi], eax', '8706'],
  ['xadd [esi], eax', '0fc106'],
  ['cmpxchg [esi], ebx', '0fb11e'],
  ['cmpxchg8b [esi]', '0fc70e'],
  ['neg [esi]', 'f71e'],
  ['rcl [esi], 1', 'd116'],
  ['bts [esi], eax', '0fab06'],
  ['push [esi]', 'ff36'],
  ['pop [esi]', '8f06'],
  ['pop [esp]', '8f0424'],
  ['call [esi]', 'ff16'],
  ['ret', 'c3'],
  ['leave', 'c9'],
  ['enter 8, 2', 'c8080002'],
  ['pusha', '60'],
  ['popa', '61'],
  ['pushf', '9c'],
  ['popf', '9d'],
  ['rep movsd', 'f3a5'],
  ['repe cmpsb', 'f3a6'],
  ['repne scasb', 'f2ae'],
  ['lodsd', 'ad'],
  ['movdqu xmm0, [esi]', 'f30f6f06'],
  ['movups [esi], xmm0', '0f1106'],
  ['paddb xmm0, [esi]', '660ffc06'],
  ['fld dword [esi]', 'd906'],
  ['fistp word [esi]', 'df1e'],
  ['fxsave [esi]', '0fae06'],
  ['fxrstor [esi]', '0fae0e'],
] as const;

test.each(RESTARTABLE)(
  '%s: refused at any access and done again, it ends as if never refused',
  (_name, hex) => {
    const state = {
      rax: 0x3,
      rbx: 0x1234,
      rcx: 3,
      rdx: 0,
      rsi: 0x3010,
      rdi: 0x4010,
      rbp: 0x5000,
      rsp: 0x6000,
    };
    const start = () => machine('prot32', hex, { ...state, rflags: CF });
    const plain = start();
    const steps = hex.startsWith('f3a') || hex.startsWith('f2a') ? 3 : 1;
    plain.cpu.run(steps);
    const accesses = plain.bus.accesses;
    expect(accesses).toBeGreaterThan(0);
    for (let at = 1; at <= accesses; at++) {
      const again = start();
      again.bus.refuseAt = at;
      expect(again.cpu.run(steps)).toBe(CPU_EXIT_NPF);
      expect(again.regs.rip).toBe(CODE);
      again.cpu.run(steps - again.cpu.instructions);
      expect(again.regs.read()).toEqual(plain.regs.read());
      expect(again.regs.ymm).toEqual(plain.regs.ymm);
      expect(again.regs.st).toEqual(plain.regs.st);
      expect(Buffer.compare(again.bus.mem, plain.bus.mem)).toBe(0);
    }
  },
);

test('addresses: base, index, scale and displacement wrap at the mode’s width', () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer(), fc.integer(), (base, index, disp) => {
      // lea eax, [ebx + ecx*4 + disp32]
      const d = Buffer.alloc(4);
      d.writeInt32LE(disp);
      const { cpu, regs } = machine('prot32', `8d848b${d.toString('hex')} f4`, {
        rbx: base >>> 0,
        rcx: index >>> 0,
      });
      cpu.run(10);
      const sum = BigInt(base) + 4n * BigInt(index) + BigInt(disp);
      expect(regs.gpr[0]).toBe(Number(BigInt.asIntN(32, sum)));
      const long = machine('long64', `488d848b${d.toString('hex')} f4`);
      long.regs.gpr.set([base, ~base], 6);
      long.regs.gpr.set([index, index >> 3], 2);
      long.cpu.run(10);
      const wide = (lo: number, hi: number) => (BigInt(hi) << 32n) | BigInt(lo >>> 0);
      const want = BigInt.asIntN(64, wide(base, ~base) + 4n * wide(index, index >> 3) + BigInt(disp));
      if (want < 2n ** 53n && want > -(2n ** 53n)) {
        expect(wide(long.regs.gpr[0]!, long.regs.gpr[1]!)).toBe(want);
      }
    }),
  );
});

test('decimal adjustments', () => {
  const al = (hex: string, rax: number, rflags = 0) => {
    const { cpu, regs } = machine('prot32', hex, { rax, rflags });
    cpu.run(1);
    return [regs.gpr[0], regs.eflags & CF];
  };
  // 79 + 35 = AE, adjusted to 14 and a carry; 35 - 47 = EE, adjusted to 88 and a borrow.
  expect(al('27', 0xae)).toEqual([0x14, CF]);
  expect(al('2f', 0xee, CF | 16)).toEqual([0x88, CF]);
  expect(al('37', 0x0f)).toEqual([0x105, CF]);
  expect(al('d40a', 63)).toEqual([0x603, 0]);
  expect(al('d50a', 0x603)).toEqual([63, 0]);
  expect(al('d6', 0, CF)).toEqual([0xff, CF]);
});

test('bit tests leave OF as a shift would, unless a block of code has ended since', () => {
  // mov eax, 0x80000000; add eax, eax (OF, result 0); bt ebx, 31
  const lazy = machine('prot32', 'b800000080 01c0 0fbae31f f4', { rbx: 0 });
  lazy.cpu.run(10);
  expect(lazy.regs.eflags & 0x800).toBe(0);
  // The same with a jump in between.
  const block = machine('prot32', 'b800000080 01c0 eb00 0fbae31f f4', { rbx: 0 });
  block.cpu.run(10);
  expect(block.regs.eflags & 0x800).toBe(0x800);
});

test('a guest that only faults uses up its budget', () => {
  // xor dx, dx; div dx at 0:0, where the zero vector leads back to.
  const { cpu } = machine('real16', '31d2 f7f2', { rip: 8 });
  cpu.regs.segBase[1] = 0;
  expect(cpu.run(50)).toBe(CPU_EXIT_BUDGET);
});

test('code that is written over and over, or lies across pages, uses up the budget for the work it makes', () => {
  // 1: mov byte [0x108f], 0x91; jmp 1b
  const own = machine('prot32', 'c6058f10000091 ebf7');
  expect(own.cpu.run(2 ** 22)).toBe(CPU_EXIT_BUDGET);
  expect(own.cpu.instructions).toBeLessThan(2 ** 14);
  // 1: jmp 1b, half of it in the next page
  const across = machine('prot32', 'e9fbffffff', { rip: 0x1ffe });
  expect(across.cpu.run(2 ** 22)).toBe(CPU_EXIT_BUDGET);
  expect(across.cpu.instructions).toBeLessThan(2 ** 17);
});
