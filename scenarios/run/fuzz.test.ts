/**
 * Random guests, and what holds for every one of them. The strongest statement here: a VMM that carries out
 * exactly the accesses it is asked for ends where a guest with plain RAM ends, registers, flags and memory.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KVM_MEM_READONLY } from '../../engine/abi.ts';
import { type CoreMachine, createCoreMachine } from '../../engine/core/core-machine.ts';
import { KVM_EXIT_HLT, KVM_EXIT_MMIO } from '../../engine/exits.ts';
import type { Paging } from '../../engine/machine.ts';
import type { Patch } from '../../engine/policy.ts';
import { STRATEGIES } from '../../strategies/index.ts';

const RAM = 0x10000;
const ROM = 0x10000;
const ROM_BYTES = 0x10000;

/** `[disp32]` as a ModRM byte with a register or group number. */
const at = (reg: number, address: number): number[] => [(reg << 3) | 5, ...le32(address)];
const le32 = (n: number): number[] => [n & 255, (n >>> 8) & 255, (n >>> 16) & 255, (n >>> 24) & 255];

/** Instructions by name: bytes of one that touches `address`; `r` picks a register that is neither ecx nor esp. */
const TEMPLATES: Readonly<Record<string, (address: number, r: number, imm: number) => number[]>> = {
  'mov8 store': (a) => [0x88, ...at(0, a)],
  'mov16 store': (a, r) => [0x66, 0x89, ...at(r, a)],
  'mov32 store': (a, r) => [0x89, ...at(r, a)],
  'mov8 imm': (a, _r, imm) => [0xc6, ...at(0, a), imm],
  'mov32 load': (a, r) => [0x8b, ...at(r, a)],
  'movzx load': (a, r) => [0x0f, 0xb6, ...at(r, a)],
  'movsx load': (a, r) => [0x0f, 0xbf, ...at(r, a)],
  'add rmw': (a, r) => [0x01, ...at(r, a)],
  'adc rmw': (a, r) => [0x11, ...at(r, a)],
  'sbb16 rmw': (a, r) => [0x66, 0x19, ...at(r, a)],
  'and imm': (a, _r, imm) => [0x81, ...at(4, a), ...le32(imm * 0x01010101)],
  'or8 imm': (a, _r, imm) => [0x80, ...at(1, a), imm],
  'xor rmw': (a, r) => [0x31, ...at(r, a)],
  'cmp load': (a, r) => [0x3b, ...at(r, a)],
  'test load': (a, r) => [0x85, ...at(r, a)],
  inc8: (a) => [0xfe, ...at(0, a)],
  dec32: (a) => [0xff, ...at(1, a)],
  not16: (a) => [0x66, 0xf7, ...at(2, a)],
  neg8: (a) => [0xf6, ...at(3, a)],
  shl8: (a) => [0xd0, ...at(4, a)],
  'shr32 imm': (a, _r, imm) => [0xc1, ...at(5, a), imm & 1],
  xchg32: (a, r) => [0x87, ...at(r, a)],
  'lock add': (a, r) => [0xf0, 0x01, ...at(r, a)],
  cmpxchg8: (a) => [0x0f, 0xb0, ...at(3, a)],
  'lock cmpxchg': (a, r) => [0xf0, 0x0f, 0xb1, ...at(r, a)],
  cmpxchg8b: (a) => [0x0f, 0xc7, ...at(1, a)],
  xadd: (a, r) => [0x0f, 0xc1, ...at(r, a)],
  setz: (a) => [0x0f, 0x94, ...at(0, a)],
  movnti: (a, r) => [0x0f, 0xc3, ...at(r, a)],
  'movups load': (a) => [0x0f, 0x10, ...at(0, a)],
  'movups store': (a) => [0x0f, 0x11, ...at(0, a)],
  'movdqu store': (a) => [0xf3, 0x0f, 0x7f, ...at(0, a)],
  stosd: (a) => [0xbf, ...le32(a), 0xab],
  lodsb: (a) => [0xbe, ...le32(a), 0xac],
  scasb: (a) => [0xbf, ...le32(a), 0xae],
  'rep movsb out': (a, _r, imm) => [
    0xbe,
    ...le32(0x8000),
    0xbf,
    ...le32(a),
    0xb9,
    ...le32(1 + (imm & 7)),
    0xf3,
    0xa4,
  ],
  'rep movsd in': (a, _r, imm) => [
    0xbe,
    ...le32(a),
    0xbf,
    ...le32(0x9000),
    0xb9,
    ...le32(1 + (imm & 3)),
    0xf3,
    0xa5,
  ],
};
/** Of these the emulator can do no load: they are left out where loads leave. */
const names = Object.keys(TEMPLATES);

const address = fc.oneof(
  { arbitrary: fc.integer({ min: ROM, max: ROM + ROM_BYTES - 64 }), weight: 6 },
  // Across the first and last byte, and across pages inside.
  { arbitrary: fc.integer({ min: ROM - 20, max: ROM + 8 }), weight: 2 },
  { arbitrary: fc.integer({ min: ROM + 0xff0, max: ROM + 0x1008 }), weight: 2 },
);
const step = fc.record({
  name: fc.constantFrom(...names),
  address,
  r: fc.constantFrom(0, 2, 3, 5),
  imm: fc.integer({ min: 0, max: 255 }),
});
const program = fc.array(step, { minLength: 1, maxLength: 10 });
type Step = { name: string; address: number; r: number; imm: number };

const codeOf = (steps: readonly Step[]): number[] => [
  ...steps.flatMap((s) => TEMPLATES[s.name]?.(s.address, s.r, s.imm) ?? []),
  0xf4,
];

interface World {
  readonly machine: CoreMachine;
  readonly ram: number;
  readonly rom: number;
}

/** RAM below, and a ROM region of random bytes behind a slot with these flags (null: no slot). */
function makeWorld(
  steps: readonly Step[],
  flags: number | null,
  series: readonly Patch[],
  paging: Paging,
): World {
  const machine = createCoreMachine({ series, paging, budget: 2 ** 22 });
  const ram = machine.createBacking({ kind: 'shm', bytes: RAM });
  const rom = machine.createBacking({ kind: 'shm', bytes: ROM_BYTES, fill: 0x5a });
  const slot = (id: number, backing: number, gpa: number, slotFlags: number): void => {
    const userspaceAddr = machine.mmap({ backing, prot: 3, shared: true });
    const region = { slot: id, flags: slotFlags, guestPhysAddr: gpa, memorySize: 0x10000, userspaceAddr };
    expect(machine.setUserMemoryRegion(region)).toBe(0);
  };
  slot(0, ram, 0, 0);
  if (flags !== null) slot(1, rom, ROM, flags);
  machine.poke(
    rom,
    0x10,
    Uint8Array.from({ length: 256 }, (_, i) => i ^ 0x33),
  );
  machine.poke(
    ram,
    0x8000,
    Uint8Array.from({ length: 64 }, (_, i) => i * 7),
  );
  machine.poke(ram, 0x1000, Uint8Array.from(codeOf(steps)));
  machine.setupVcpu({
    mode: 'prot32',
    regs: { rip: 0x1000, rsp: 0x7000, rax: 0x12345678, rbx: 0x9abcdef0, rbp: 7 },
  });
  return { machine, ram, rom };
}

/** Runs to HLT; `carryOut` decides whether the VMM does the stores it is asked for, or ignores them. */
function runToHalt({ machine, rom }: World, carryOut: boolean): void {
  const { exit } = machine;
  for (let n = 0; n < 2000; n++) {
    expect(machine.run()).toBe(0);
    if (exit.reason === KVM_EXIT_HLT) return;
    expect(exit.reason).toBe(KVM_EXIT_MMIO);
    const offset = exit.physAddr - ROM;
    if (!exit.isWrite) exit.data.set(machine.peek(rom, offset, exit.len));
    else if (carryOut) machine.poke(rom, offset, exit.data.slice(0, exit.len));
  }
  expect.unreachable('the guest did not halt');
}

function stateOf({ machine, ram, rom }: World): unknown {
  const regs = machine.getRegs();
  return {
    gpr: regs.gpr,
    rip: regs.rip,
    // AF is undefined after some of these.
    flags: regs.rflags & ~0x10010,
    ram: machine.peek(ram, 0, RAM).toString(),
    rom: machine.peek(rom, 0, ROM_BYTES).toString(),
  };
}

const seriesOf = (name: string): readonly Patch[] => STRATEGIES.find((s) => s.name === name)?.series ?? [];
const MERGED = seriesOf('readonly-memslot');
const PAGINGS: readonly Paging[] = ['npt', 'shadow'];

describe.each(PAGINGS)('every random guest, %s', (paging) => {
  it('a VMM that carries out the stores of a read-only slot ends where plain RAM ends', () => {
    fc.assert(
      fc.property(program, (steps) => {
        const plain = makeWorld(steps, 0, MERGED, paging);
        const readonly = makeWorld(steps, KVM_MEM_READONLY, MERGED, paging);
        runToHalt(plain, true);
        runToHalt(readonly, true);
        expect(stateOf(readonly)).toEqual(stateOf(plain));
      }),
      { numRuns: 150 },
    );
  });

  it('a VMM that answers for a hole ends where plain RAM ends', () => {
    fc.assert(
      fc.property(program, (steps) => {
        const plain = makeWorld(steps, 0, MERGED, paging);
        const hole = makeWorld(steps, null, MERGED, paging);
        runToHalt(plain, true);
        runToHalt(hole, true);
        expect(stateOf(hole)).toEqual(stateOf(plain));
      }),
      { numRuns: 150 },
    );
  });

  it('read-only bytes never change through the slot', () => {
    fc.assert(
      fc.property(program, (steps) => {
        const world = makeWorld(steps, KVM_MEM_READONLY, MERGED, paging);
        const before = world.machine.peek(world.rom, 0, ROM_BYTES).toString();
        runToHalt(world, false);
        expect(world.machine.peek(world.rom, 0, ROM_BYTES).toString()).toBe(before);
      }),
      { numRuns: 150 },
    );
  });

  it('the same guest twice gives the same digest, and so does the same series in another order', () => {
    fc.assert(
      fc.property(program, (steps) => {
        const digests = [MERGED, MERGED, MERGED.toReversed()].map((series) => {
          const world = makeWorld(steps, KVM_MEM_READONLY, series, paging);
          runToHalt(world, false);
          return world.machine.observe().digest;
        });
        expect(new Set(digests).size).toBe(1);
      }),
      { numRuns: 60 },
    );
  });
});
