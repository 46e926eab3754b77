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
import { touching } from '../testing.ts';

const RAM = 0x10000;
const ROM = 0x10000;
const ROM_BYTES = 0x10000;

const TEMPLATES = touching(false);
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
