/** The batch API against a guest that does the same with instructions: same faults, steps, memory and sums. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KVM_MEM_READONLY, PAGE_SIZE, PROT_READ, PROT_WRITE } from '../../abi.ts';
import { KVM_EXIT_HLT, KVM_EXIT_MMIO } from '../../exits.ts';
import { FACT_WORDS } from '../../facts.ts';
import type { Patch } from '../../policy.ts';
import { STEPS } from '../../steps.ts';
import { CoreMachine } from '../core-machine.ts';
import { STEP_COUNTS, WORDS } from '../vm.ts';
import { AccessBatch } from './batch.ts';
import { offsetOf } from './hits.ts';

const RAM_GFN = 16;
const ROM_GFN = 0x100;
const HOLE_GFN = 0x300;
const PAGES = 16;

const patch = (name: string, rewrites: ReturnType<Patch['apply']>): Patch => ({
  name,
  subject: name,
  source: 'test',
  apply: () => rewrites,
});

interface Rom {
  readonly name: string;
  readonly shared: boolean;
  readonly prot: number;
  readonly flags: number;
  readonly series: readonly Patch[];
}

/** Ways to give a guest a ROM: refused by -EFAULT, by the slot, by the slot as a device, by the host; and not at all. */
const ROMS: readonly Rom[] = [
  { name: 'refused for good', shared: true, prot: PROT_READ, flags: 0, series: [] },
  {
    name: 'refused by the slot',
    shared: true,
    prot: PROT_READ | PROT_WRITE,
    flags: KVM_MEM_READONLY,
    series: [
      patch('slot', {
        gfnToHva: (f) => (f.slot ? (f.write && f.slotReadonly ? 2 : 0) : 1),
        handleBadPage: (_, pfn) => (pfn === 4 ? 1 : 0),
      }),
    ],
  },
  {
    name: 'refused by the slot, as a device',
    shared: true,
    prot: PROT_READ | PROT_WRITE,
    flags: KVM_MEM_READONLY,
    series: [
      patch('device', {
        gfnToHva: (f) => (f.slot ? (f.write && f.slotReadonly ? 2 : 0) : 1),
        handleBadPage: (_, pfn) => (pfn === 4 ? 2 : 0),
      }),
    ],
  },
  {
    name: 'refused by the host',
    shared: true,
    prot: PROT_READ,
    flags: 0,
    series: [patch('host', { gupFailed: () => 4, handleBadPage: (_, pfn) => (pfn === 4 ? 1 : 0) })],
  },
  { name: 'copied on write', shared: false, prot: PROT_READ | PROT_WRITE, flags: 0, series: [] },
];

/** A machine with code, RAM and a ROM. */
class Bench {
  readonly m: CoreMachine;
  readonly #code: number;
  readonly ram: number;
  readonly rom: number;
  readonly #ramHva: number;
  readonly #romHva: number;

  constructor(rom: Rom) {
    this.m = new CoreMachine({ series: rom.series });
    const both = PROT_READ | PROT_WRITE;
    this.#code = this.m.createBacking({ kind: 'shm', bytes: RAM_GFN * PAGE_SIZE });
    this.ram = this.m.createBacking({ kind: 'shm', bytes: PAGES * PAGE_SIZE });
    this.rom = this.m.createBacking({ kind: 'shm', bytes: PAGES * PAGE_SIZE, fill: 0x5a });
    this.#slot(0, 0, this.m.mmap({ backing: this.#code, prot: both, shared: true }), RAM_GFN, 0);
    this.#ramHva = this.m.mmap({ backing: this.ram, prot: both, shared: true });
    this.#slot(1, RAM_GFN, this.#ramHva, PAGES, 0);
    this.#romHva = this.m.mmap({ backing: this.rom, prot: rom.prot, shared: rom.shared });
    this.#slot(2, ROM_GFN, this.#romHva, PAGES, rom.flags);
  }

  #slot(slot: number, gfn: number, hva: number, pages: number, flags: number): void {
    const region = { slot, flags, guestPhysAddr: gfn * PAGE_SIZE, memorySize: pages * PAGE_SIZE };
    expect(this.m.setUserMemoryRegion({ ...region, userspaceAddr: hva })).toBe(0);
  }

  /** Something that happens to the memory between two batches. */
  event(what: number): void {
    if (what === 1) this.m.mmu.stage2.zapAll();
    if (what === 2) this.m.mmu.host.pageOut(this.#ramHva / PAGE_SIZE, PAGES);
    if (what === 3) this.m.dropPageCache(this.rom);
    if (what === 4) this.m.mprotect(this.#romHva, 4 * PAGE_SIZE, PROT_READ);
    if (what === 5) this.m.madviseDontneed(this.#romHva, PAGES * PAGE_SIZE);
    if (what === 6) this.#slot(1, RAM_GFN, this.#ramHva, PAGES, 1);
    if (what === 7) this.m.getDirtyLog(1);
  }

  /** The accesses as instructions; returns the sum of what was read. */
  runGuest(pages: readonly number[], write: boolean): number {
    const code = pages.flatMap((gfn, i) => {
      const at = gfn * PAGE_SIZE + offsetOf(i);
      const address = [at & 0xff, (at >>> 8) & 0xff, (at >>> 16) & 0xff, at >>> 24];
      // mov byte [at], i; or xor eax, eax; mov al, [at]; movzx eax, al; add ebx, eax
      return write
        ? [0xc6, 0x05, ...address, i & 0xff]
        : [0x31, 0xc0, 0x8a, 0x05, ...address, 0x0f, 0xb6, 0xc0, 0x01, 0xc3];
    });
    this.m.poke(this.#code, 0, Uint8Array.from([...code, 0xf4]));
    this.m.setupVcpu({ mode: 'prot32' });
    for (;;) {
      if (this.m.run() < 0) this.m.setRip(Number(this.m.getRegs().rip) + (write ? 7 : 6));
      else if (this.m.exit.reason === KVM_EXIT_MMIO) this.m.exit.data.fill(0xff);
      else break;
    }
    expect(this.m.exit.reason).toBe(KVM_EXIT_HLT);
    return Number(this.m.getRegs().gpr[3]);
  }

  /** What has to be the same. */
  counts(): Record<string, unknown> {
    const { vm, mmu } = this.m;
    const words: Record<string, number> = {};
    for (let w = 0; w < FACT_WORDS; w++) if (vm.h[WORDS + w] !== 0) words[w.toString(16)] = vm.h[WORDS + w]!;
    const steps = Object.fromEntries(STEPS.map((s, i) => [s, vm.h[STEP_COUNTS + i]!]));
    const bytes = [this.ram, this.rom].map((b) =>
      Buffer.from(this.m.peek(b, 0, PAGES * PAGE_SIZE)).toString('hex'),
    );
    return { words, steps, bytes, hows: [...mmu.taken.hows] };
  }
}

const page = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: RAM_GFN, max: RAM_GFN + PAGES - 1 }) },
  { weight: 6, arbitrary: fc.integer({ min: ROM_GFN, max: ROM_GFN + PAGES - 1 }) },
  { weight: 1, arbitrary: fc.integer({ min: HOLE_GFN, max: HOLE_GFN + 1 }) },
);
const batches = fc.array(
  fc.record({
    pages: fc.array(page, { minLength: 1, maxLength: 40 }),
    write: fc.boolean(),
    event: fc.integer({ min: 0, max: 7 }),
  }),
  { minLength: 1, maxLength: 6 },
);

describe.each(ROMS)('$name', (rom) => {
  test.each([false, true])('a batch is what a guest does; refusals remembered: %s', (rememberRefusals) => {
    fc.assert(
      fc.property(batches, (steps) => {
        const guest = new Bench(rom);
        const other = new Bench(rom);
        const batch = new AccessBatch(other.m.vcpu, { rememberRefusals });
        // The guest's code is fetched from its first page, and every run of it halts once.
        let runs = 0;
        for (const { pages, write, event } of steps) {
          guest.event(event);
          other.event(event);
          const list = Int32Array.from({ length: 64 }, (_, i) => pages[i] ?? 0);
          const sum = guest.runGuest(pages, write);
          other.m.poke(0, 0, Uint8Array.of(0));
          batch.runReads(Int32Array.of(0), 0, 1);
          if (write) batch.runWrites(list, 63, pages.length);
          else expect(batch.runReads(list, 63, pages.length)).toBe(sum);
          runs++;
        }
        const expected = guest.counts();
        const actual = other.counts();
        const ran = actual.steps as Record<string, number>;
        for (const step of ['emulate-decode', 'world-switch', 'userspace-exit', 'syscall'])
          ran[step]! += runs;
        expect(actual).toEqual(expected);
      }),
      { numRuns: 60, seed: 5 },
    );
  });

  test('one batch after the other is as good as one exit after the other', () => {
    const pages = Int32Array.from({ length: 64 }, (_, i) => (i % 3 === 0 ? RAM_GFN : ROM_GFN) + (i % PAGES));
    const whole = new Bench(rom);
    const parts = new Bench(rom);
    const exits = new AccessBatch(whole.m.vcpu).runWrites(pages, 63, 64);
    const batch = new AccessBatch(parts.m.vcpu);
    let seen = 0;
    for (let i = 0; i >= 0; seen++) i = batch.runUntilExit(pages, 63, i, 64);
    expect(seen - 1).toBe(exits);
    expect(parts.counts()).toEqual(whole.counts());
    expect(parts.m.vm.eventHash()).toEqual(whole.m.vm.eventHash());
  });
});

test('loads stay loads after a store was refused, remembered or not', () => {
  for (const rememberRefusals of [false, true]) {
    const bench = new Bench(ROMS[1]!);
    const batch = new AccessBatch(bench.m.vcpu, { rememberRefusals });
    const list = Int32Array.of(ROM_GFN);
    expect(batch.runReads(list, 0, 4)).toBe(4 * 0x5a);
    expect(batch.runWrites(list, 0, 4)).toBe(4);
    expect(batch.runReads(list, 0, 4)).toBe(4 * 0x5a);
    expect(batch.exits).toBe(4);
  }
});

test('nothing is allocated between a batch and its end', () => {
  const bench = new Bench(ROMS[1]!);
  const batch = new AccessBatch(bench.m.vcpu);
  const ram = Int32Array.from({ length: 16 }, (_, i) => RAM_GFN + i);
  const roms = Int32Array.from({ length: 16 }, (_, i) => ROM_GFN + i);
  const n = 200_000;
  const round = (): number => {
    bench.event(2);
    const before = process.memoryUsage().heapUsed;
    batch.runWrites(ram, 15, n);
    batch.runReads(ram, 15, n);
    batch.runReads(roms, 15, n);
    batch.runWrites(roms, 15, n);
    return process.memoryUsage().heapUsed - before;
  };
  for (let i = 0; i < 20; i++) round();
  // A collection in the middle would hide what was allocated: the median of several rounds has none.
  const held = Array.from({ length: 9 }, round).toSorted((a, b) => a - b)[4]!;
  expect(held / (4 * n)).toBeLessThan(1);
});
