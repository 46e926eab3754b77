/** x86_emulate_instruction(): which stores are tried once more, what becomes of what cannot be done, and string ports. */
import { describe, expect, test } from 'vitest';
import { KVM_MEM_READONLY, PROT_READ, PROT_WRITE } from '../../../abi.ts';
import { KVM_EXIT_HLT, KVM_EXIT_INTERNAL_ERROR, KVM_EXIT_IO, KVM_EXIT_MMIO } from '../../../exits.ts';
import type { FaultPolicy } from '../../../policy.ts';
import { CoreMachine } from '../../core-machine.ts';
import { longGuest } from '../../testing.ts';

const TOUCH = [0x8a, 0x03]; // mov al, [rbx]: KVM shadows the tables at 0x6000 and 0x7000
const INC = [0xfe, 0x07]; // inc byte [rdi]
const NEXT_PAGE = [0x81, 0xc7, 0, 0x10, 0, 0]; // add edi, 0x1000
const HLT = 0xf4;

function retries(code: readonly number[]): { retried: number; emulated: number } {
  const { m } = longGuest(code, 'shadow');
  expect(m.run()).toBe(0);
  expect(m.exit.reason).toBe(KVM_EXIT_HLT);
  const { faults, emulated } = m.observe();
  return { retried: faults.retry, emulated: emulated ?? -1 };
}

test('a store to a shadowed table that nobody walks now is let through: unprotected, and tried again', () => {
  expect(retries([...TOUCH, ...INC, HLT])).toEqual({ retried: 1, emulated: 0 });
});

test('the same instruction at another address has its own chance', () => {
  // Twice round one loop: inc [0x6ff0], inc [0x7ff0].
  const loop = [...INC, ...NEXT_PAGE, 0x81, 0xff, 0xf0, 0x8f, 0, 0, 0x75, 0xf0];
  expect(retries([...TOUCH, ...loop, HLT])).toEqual({ retried: 2, emulated: 0 });
});

test('and so has another instruction at the same address', () => {
  expect(retries([...TOUCH, ...INC, ...TOUCH, ...INC, HLT])).toEqual({ retried: 2, emulated: 0 });
});

test('a store to a table of its own walk is emulated when it comes again', () => {
  // The fetch that follows shadows the table once more: unprotecting it did not help.
  const toPd = [0xbf, 0xf0, 0x4f, 0, 0]; // mov edi, 0x4ff0
  expect(retries([...toPd, ...INC, HLT])).toEqual({ retried: 1, emulated: 1 });
});

test('what page-table code uses to write entries is emulated at once', () => {
  const movStore = [0x88, 0x07]; // mov [rdi], al
  expect(retries([...TOUCH, ...movStore, HLT])).toEqual({ retried: 0, emulated: 1 });
});

test('a second chance is told in the life of the fault', () => {
  const { m } = longGuest([...TOUCH, ...INC, HLT], 'shadow');
  m.run();
  const steps = m.life(32).flatMap((l) => l.steps);
  expect(steps.find((step) => step.at === 'retry_instruction()')?.says).toMatch(/once more/);
});

/** A flat guest with a read-only slot at 128 KiB (edi), RAM at esi, and port 0x80 in dx. */
function flatGuest(code: readonly number[], kvm: Partial<FaultPolicy> = {}) {
  const merged: Partial<FaultPolicy> = {
    gfnToHva: (f) => (!f.slot ? 1 : f.slotReadonly && f.write ? 2 : 0),
    handleBadPage: (_, pfn) => (pfn === 4 ? 1 : 0),
    reexecuteInstruction: () => false,
    ...kvm,
  };
  const m = new CoreMachine({
    series: [{ name: 'p', subject: 's', source: 'test', apply: () => merged }],
  });
  const both = PROT_READ | PROT_WRITE;
  const slot = (id: number, at: number, bytes: number, flags: number): number => {
    const backing = m.createBacking({ kind: 'shm', bytes });
    const userspaceAddr = m.mmap({ backing, prot: both, shared: true });
    m.setUserMemoryRegion({ slot: id, flags, guestPhysAddr: at, memorySize: bytes, userspaceAddr });
    return backing;
  };
  const ram = slot(0, 0, 0x1_0000, 0);
  slot(1, 0x2_0000, 0x4000, KVM_MEM_READONLY);
  m.poke(ram, 0x1000, Uint8Array.from(code));
  m.poke(ram, 0x3000, Uint8Array.from([1, 2, 3]));
  const regs = { rip: 0x1000, rdi: 0x2_1234, rsi: 0x3000, rdx: 0x80, rcx: 3, rsp: 0x8000 };
  m.setupVcpu({ mode: 'prot32', regs });
  return { m, ram };
}

describe('an instruction that KVM cannot emulate', () => {
  const FST = [0xd9, 0x17, HLT]; // fst dword [edi]

  test('ends as the series says of the facts of the page that faulted', () => {
    const { m } = flatGuest(FST, { handleEmulationFailure: (f) => (f.write && f.slotReadonly ? 1 : 0) });
    expect(m.run()).toBe(0);
    expect(m.exit).toMatchObject({ reason: KVM_EXIT_MMIO, physAddr: 0, len: 0, isWrite: true });
    const other = flatGuest(FST, { handleEmulationFailure: (f) => (f.write && f.slotReadonly ? 0 : 1) });
    expect(other.m.run()).toBe(0);
    expect(other.m.exit).toMatchObject({ reason: KVM_EXIT_INTERNAL_ERROR, suberror: 1 });
  });

  test('is no different where the fault was a read', () => {
    const FLD = [0xd9, 0x07, HLT]; // fld dword [edi], of a hole
    const { m } = flatGuest([0xbf, 0, 0, 5, 0, ...FLD], { handleEmulationFailure: (f) => (f.slot ? 0 : 1) });
    expect(m.run()).toBe(0);
    expect(m.exit).toMatchObject({ reason: KVM_EXIT_MMIO, len: 0 });
  });

  test('is counted, with the question whether to try again', () => {
    const { m } = flatGuest(FST);
    m.run();
    expect(m.observe().decisions).toMatchObject({ handleEmulationFailure: 1, reexecuteInstruction: 1 });
  });
});

describe('string instructions on ports', () => {
  const drain = (m: CoreMachine, answer: (n: number) => number): number[] => {
    const seen: number[] = [];
    for (let n = 0; n < 20 && m.run() === 0 && m.exit.reason === KVM_EXIT_IO; n++) {
      expect(m.exit).toMatchObject({ port: 0x80, len: 1 });
      if (m.exit.isWrite) seen.push(m.exit.data[0]!);
      else {
        m.exit.data[0] = answer(n);
        seen.push(answer(n));
      }
    }
    expect(m.exit.reason).toBe(KVM_EXIT_HLT);
    return seen;
  };

  test('rep outsb: every byte of memory reaches the VMM, in order', () => {
    const { m } = flatGuest([0xf3, 0x6e, HLT]);
    expect(drain(m, () => 0)).toEqual([1, 2, 3]);
    expect(m.getRegs().gpr[6]).toBe(0x3003n);
    expect(m.getRegs().gpr[1]).toBe(0n);
  });

  test('insb: what the VMM answers lands in memory, and a loop of it takes one answer each', () => {
    // 1: insb; loop 1b
    const { m, ram } = flatGuest([0xbf, 0, 0x40, 0, 0, 0x6c, 0xe2, 0xfd, HLT]);
    expect(drain(m, (n) => 0x50 + n)).toEqual([0x50, 0x51, 0x52]);
    expect([...m.peek(ram, 0x4000, 4)]).toEqual([0x50, 0x51, 0x52, 0]);
  });
});
