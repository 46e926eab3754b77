/** Guests that make their own world: descriptor tables, rings, and paging of every kind, on a whole machine. */
import { describe, expect, test } from 'vitest';
import { PROT_READ, PROT_WRITE } from '../abi.ts';
import { KVM_EXIT_HLT, KVM_EXIT_SHUTDOWN } from '../exits.ts';
import type { CpuMode, Paging } from '../machine.ts';
import { createCoreMachine } from './core-machine.ts';

const CODE = 0x1000;
const GDT = 0x3000;
const IDT = 0x3800;
const TSS = 0x3c00;
/** Descriptors: 32-bit code and data of level 0, 64-bit code, user code and data, a 32-bit task. */
const DESCRIPTORS = [
  0n,
  0x00cf9a000000ffffn,
  0x00cf92000000ffffn,
  0x00cffa000000ffffn,
  0x00cff2000000ffffn,
  0x0000890000000067n | (BigInt(TSS) << 16n),
  0x00af9a000000ffffn,
];

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');
const words = (size: 4 | 8, ...values: (number | bigint)[]): Buffer => {
  const b = Buffer.alloc(values.length * size);
  values.forEach((v, k) => {
    if (size === 8) b.writeBigUInt64LE(BigInt(v), k * 8);
    else b.writeUInt32LE(Number(v), k * 4);
  });
  return b;
};
/** What LGDT and LIDT read. */
const pointer = (base: number, limit: number): Buffer =>
  Buffer.concat([words(4, limit).subarray(0, 2), words(4, base)]);
/** A 32-bit interrupt gate. */
const gate = (offset: number, selector: number, dpl: number): bigint =>
  BigInt(offset & 0xffff) | (BigInt(selector) << 16n) | (BigInt(0x8e00 | (dpl << 13)) << 32n);

interface World {
  readonly mode: CpuMode;
  /** Code by its offset from CODE. */
  readonly code: Readonly<Record<number, string>>;
  readonly memory?: Readonly<Record<number, Buffer>>;
  readonly paging?: Paging;
}

function boot({ mode, code, memory = {}, paging = 'npt' }: World) {
  const machine = createCoreMachine({ series: [], paging, budget: 100_000 });
  const backing = machine.createBacking({ kind: 'shm', bytes: 0x1_0000 });
  const userspaceAddr = machine.mmap({ backing, prot: PROT_READ | PROT_WRITE, shared: true });
  machine.setUserMemoryRegion({ slot: 0, flags: 0, guestPhysAddr: 0, memorySize: 0x1_0000, userspaceAddr });
  machine.poke(backing, GDT, words(8, ...DESCRIPTORS));
  machine.poke(backing, 0x2ff0, pointer(GDT, 0x37));
  machine.poke(backing, 0x2ff8, pointer(IDT, 0x1ff));
  for (const [at, hex] of Object.entries(code)) machine.poke(backing, CODE + Number(at), bytes(hex));
  for (const [at, what] of Object.entries(memory)) machine.poke(backing, Number(at), what);
  machine.setupVcpu({ mode, regs: { rip: CODE, rsp: 0x7000 } });
  const ret = machine.run();
  const regs = machine.vcpu.regs;
  const reg = (r: number): number => regs.gpr[2 * r]! >>> 0;
  const peek = (at: number, n: number): string => Buffer.from(machine.peek(backing, at, n)).toString('hex');
  const again = (): number => {
    machine.run();
    return machine.exit.reason;
  };
  return { machine, ret, reason: machine.exit.reason, regs, reg, peek, again };
}

describe('rings', () => {
  // lgdt, lidt, ltr 28, ds and ss 10, iret to 1b:1040 with 23:6000; there: ds 23, ebx = cs, int 30, esi = eax, cli.
  // Handlers: of int 30 at 1060, of #GP at 1080.
  const code = {
    0: '0f0115f02f0000 0f011df82f0000 66b82800 0f00d8 66b81000 8ed8 8ed0 bc00700000 6a23 6800600000 6802020000 6a1b 6840100000 cf',
    64: '66b82300 8ed8 8ccb cd30 89c6 fa f4',
    96: '8b44240c 8cc9 89e2 cf',
    128: '5f 8b2c24 f4',
  };
  const world = (extra: Readonly<Record<number, Buffer>> = {}) =>
    boot({
      mode: 'prot32',
      code,
      memory: {
        [IDT + 8 * 0x30]: words(8, gate(0x1060, 8, 3)),
        [IDT + 8 * 13]: words(8, gate(0x1080, 8, 0)),
        [TSS + 4]: words(4, 0x5000, 0x10),
        ...extra,
      },
    });

  test("a user program calls the kernel by an interrupt gate, on the kernel's stack, and comes back", () => {
    const { reg, reason, regs, peek } = world();
    expect(reason).toBe(KVM_EXIT_HLT);
    // ebx: CS of the user; ecx: CS of the handler; edx: its ESP, five words below the task's.
    expect([reg(3), reg(1), reg(2)]).toEqual([0x1b, 8, 0x5000 - 20]);
    // esi: what the handler found as the user's ESP.
    expect(reg(6)).toBe(0x6000);
    // CLI at level 3 was #GP(0): edi the error code, ebp the address of the CLI.
    expect([reg(7), reg(5)]).toEqual([0, 0x104c]);
    expect(regs.cpl).toBe(0);
    // Descriptors that were used carry the accessed bit, the task is busy.
    expect(peek(GDT + 0x18 + 5, 1)).toBe('fb');
    expect(peek(GDT + 0x28 + 5, 1)).toBe('8b');
  });

  test('a gate for the kernel alone is #GP with its number', () => {
    const { reg } = world({ [IDT + 8 * 0x30]: words(8, gate(0x1060, 8, 0)) });
    expect([reg(7), reg(5)]).toEqual([0x30 * 8 + 2, 0x1048]);
  });

  test('no handler, no handler for that, none for the double fault: shutdown', () => {
    expect(world({ [IDT + 8 * 13]: words(8, 0) }).reason).toBe(KVM_EXIT_SHUTDOWN);
  });
});

describe('paging', () => {
  test.each(['npt', 'shadow'] as const)(
    'two levels, a large page, accessed and dirty bits, a read-only page (%s)',
    (paging) => {
      const world = boot({
        mode: 'prot32',
        paging,
        // CR4.PSE, CR3, CR0.PG WP; ebx = [406000]; ecx = [5000]; [5004] = 55; edx = [406004]; eax = [8004];
        // esi = [9014]; [7ff8] = 1; hlt; [a000] = 1
        code: {
          0: `b810000000 0f22e0 b800800000 0f22d8 0f20c0 0d00000180 0f22c0 8b1d00604000 8b0d00500000
          c7050450000055000000 8b1504604000 a104800000 8b3514900000 c705f87f000001000000
          f4 c70500a0000001000000 f4`,
        },
        memory: {
          32768: words(4, 0x9003, 0x83),
          // 0 to f000 as they are, but 5000 leads to 6000 and a000 may not be written.
          36864: words(
            4,
            ...Array.from({ length: 16 }, (_, k) => (k === 5 ? 0x6003 : k === 10 ? 0xa001 : k * 0x1000 + 3)),
          ),
          24576: words(4, 0xabcd1234),
        },
      });
      expect(world.reg(3)).toBe(0xabcd1234);
      expect(world.reg(1)).toBe(0xabcd1234);
      expect(world.reg(2)).toBe(0x55);
      expect(world.reg(0) & 0x20).toBe(0x20);
      expect(world.reg(6) & 0x60).toBe(0x60);
      expect(world.reason).toBe(KVM_EXIT_HLT);
      expect(world.peek(0x7ff8, 4)).toBe('01000000');
      // The store to the read-only page is the guest's own #PF, and it has no handler; KVM then resets the vCPU.
      expect(world.again()).toBe(KVM_EXIT_SHUTDOWN);
      expect(world.regs.rip).toBe(0xfff0);
    },
  );

  test.each(['npt', 'shadow'] as const)(
    'from real mode to long mode and the upper half of its addresses (%s)',
    (paging) => {
      const world = boot({
        mode: 'real16',
        paging,
        // lgdt, CR0.PE, jmp 8:1020; CR4.PAE, CR3, EFER.LME, CR0.PG, rdmsr, jmp 30:1060; rbx, jmp to ffffffff80001090
        code: {
          0: '0f0116f02f 0f20c0 0c01 0f22c0 ea20100800',
          32: `b820000000 0f22e0 b800800000 0f22d8 b9800000c0 0f32 660d0001 0f30 0f20c0 0d00000080 0f22c0
          0f32 89c6 ea601000003000`,
          96: '48bb8877665544332211 48c7c790100080 ffe7',
          144: '488d2d00000000 f4',
        },
        memory: {
          32768: words(8, 0x9003),
          36856: words(8, 0x9003),
          36864: words(8, 0xa003),
          40944: words(8, 0xa003),
          40960: words(8, 0x83),
        },
      });
      expect(world.reason).toBe(KVM_EXIT_HLT);
      expect(world.reg(6)).toBe(0x500);
      const { gpr, rip } = world.machine.getRegs();
      expect(gpr[3]).toBe(0x1122334455667788n);
      expect(gpr[5]).toBe(0xffffffff80001097n);
      expect(rip).toBe(0xffffffff80001098n);
    },
  );
});
