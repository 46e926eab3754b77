/**
 * Random guests with their whole life kept, and what happened held against what is told of it: the event ring, the
 * verdict table, the counts by kind and the steps. Under every strategy, under both pagings, with the guest's own
 * paging off and on, while the host drops pages, changes rights and asks for dirty logs.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KVM_MEM_LOG_DIRTY_PAGES, PAGE_SIZE, PROT_READ, PROT_WRITE } from '../../engine/abi.ts';
import { type CoreMachine, createCoreMachine } from '../../engine/core/core-machine.ts';
import { HOW_NONE, HOW_PATH, HOWS } from '../../engine/core/kvm/fault/fault.ts';
import { compileSeries, type Watch, walkFault } from '../../engine/core/kvm/fault/fault-path.ts';
import { EV_FAULT } from '../../engine/core/vm.ts';
import { FACT_NAMES, isLegal } from '../../engine/facts.ts';
import type { CpuMode, Paging } from '../../engine/machine.ts';
import { FAULT_KINDS, type Life, type LifeStep } from '../../engine/observation.ts';
import { decisionsOf } from '../../engine/policy.ts';
import { STEPS } from '../../engine/steps.ts';
import { type OnExit, runVcpu } from '../../engine/vmm/loop.ts';
import { RAM_MEMORY, Slot } from '../../engine/vmm/slot.ts';
import { STRATEGIES, type Strategy } from '../../strategies/index.ts';
import { identityTables } from '../language/page-tables.ts';
import { touching } from '../testing.ts';

const RAM_BYTES = 0x10000;
const ROM_AT = 0x10000;
const ROM_BYTES = 0x10000;
const CODE_AT = 0x1000;
/** The guest's page tables: in RAM, or in the ROM. */
const TABLES = { ram: 0xa000, rom: 0x18000 } as const;
/** fst dword [0x10100]: a store that KVM cannot emulate. */
const UNEMULATABLE = [0xd9, 0x14, 0x25, 0x00, 0x01, 0x01, 0x00];
const OUT = [0xe6, 0xe0];
const HLT = 0xf4;

/** What the host does when the guest asks for it with an OUT. */
const EVENTS = {
  'drop ROM': (w: World) => w.rom.dropPageCache(),
  'drop RAM': (w: World) => w.ram.dropPageCache(),
  'unmap ROM': (w: World) => w.rom.dontneed(),
  'protect ROM': (w: World) => w.rom.protect(PROT_READ),
  'unprotect ROM': (w: World) => w.rom.protect(PROT_READ | PROT_WRITE),
  'protect half of the ROM': (w: World) => w.machine.mprotect(w.rom.hva, ROM_BYTES / 2, PROT_READ),
  'log RAM': (w: World) => w.ram.set(KVM_MEM_LOG_DIRTY_PAGES),
  'log ROM': (w: World) => w.flags === null || w.rom.set(w.flags | KVM_MEM_LOG_DIRTY_PAGES),
  'sync logs': (w: World) => [w.ram.dirtyLog(), w.rom.dirtyLog()],
  'delete ROM': (w: World) => w.flags === null || w.rom.delete(),
  'make ROM': (w: World) => w.flags === null || w.rom.set(w.flags),
} as const satisfies Readonly<Record<string, (w: World) => unknown>>;
type Event = keyof typeof EVENTS;

interface Guest {
  readonly mode: CpuMode;
  readonly tables: keyof typeof TABLES;
  readonly used: boolean;
  readonly large: boolean;
  readonly asynchronous: boolean;
  readonly program: readonly (Event | { name: string; address: number; r: number; imm: number })[];
}

const address = fc.oneof(
  { arbitrary: fc.integer({ min: ROM_AT, max: ROM_AT + 0x7fc0 }), weight: 5 },
  { arbitrary: fc.constantFrom(ROM_AT, ROM_AT + 0x1000, ROM_AT + 0x1ff0), weight: 3 },
  // Across the first byte, the guest's tables in RAM, and RAM that nobody uses.
  { arbitrary: fc.integer({ min: ROM_AT - 20, max: ROM_AT + 8 }), weight: 1 },
  { arbitrary: fc.constantFrom(TABLES.ram + 8 * 500, TABLES.ram + 0x2f00, TABLES.ram + 0x3f00), weight: 1 },
  { arbitrary: fc.integer({ min: 0x2000, max: 0x5000 }), weight: 2 },
  // Nothing is there, nor in the guest's tables.
  { arbitrary: fc.constant(0x50_0000), weight: 1 },
);
const touch = fc.record({
  name: fc.constantFrom(...Object.keys(touching(false)), 'unemulatable'),
  address,
  r: fc.constantFrom(0, 2, 3, 5),
  imm: fc.integer({ min: 0, max: 255 }),
});
const event = fc.constantFrom(...(Object.keys(EVENTS) as Event[]));
const guests: fc.Arbitrary<Guest> = fc.record({
  mode: fc.constantFrom<CpuMode>('prot32', 'long64'),
  tables: fc.constantFrom('ram', 'ram', 'rom'),
  used: fc.boolean(),
  large: fc.boolean(),
  asynchronous: fc.boolean(),
  program: fc.array(fc.oneof({ arbitrary: touch, weight: 3 }, { arbitrary: event, weight: 2 }), {
    minLength: 1,
    maxLength: 12,
  }),
});

/** A fault as the core records it when it is handled. */
interface Recorded {
  readonly word: number;
  readonly gfn: number;
  readonly verdict: number;
}

/** One guest under one strategy; as a VMM it ignores stores, and goes on after -EFAULT twice. */
class World {
  readonly machine: CoreMachine;
  readonly ram: Slot;
  readonly rom: Slot;
  readonly flags: number | null;
  readonly recorded: Recorded[] = [];
  readonly #events: Event[];
  #errors = 0;

  constructor(guest: Guest, { series, layout }: Strategy, paging: Paging) {
    const lives = Number.POSITIVE_INFINITY;
    this.machine = createCoreMachine({ series, paging, lives, budget: 2 ** 14, irqchip: guest.asynchronous });
    this.#record();
    this.flags = layout.slotFlags;
    this.ram = new Slot(this.machine, { slot: 0, guestPhysAddr: 0, bytes: RAM_BYTES, memory: RAM_MEMORY });
    const rom = { slot: 1, guestPhysAddr: ROM_AT, bytes: ROM_BYTES, memory: layout, fill: 0x5a };
    this.rom = new Slot(this.machine, rom);
    this.ram.set();
    if (this.flags !== null) this.rom.set(this.flags);
    const tables = identityTables(TABLES[guest.tables], guest);
    if (guest.tables === 'ram') this.ram.poke(TABLES.ram, tables);
    else this.rom.poke(TABLES.rom - ROM_AT, tables);
    this.#events = guest.program.filter((x) => typeof x === 'string');
    const encoders = touching(guest.mode === 'long64');
    const code = guest.program.flatMap((x) => {
      if (typeof x === 'string') return OUT;
      return encoders[x.name]?.(x.address, x.r, x.imm) ?? UNEMULATABLE;
    });
    this.ram.poke(CODE_AT, Uint8Array.from([...code, HLT]));
    this.machine.setupVcpu({
      mode: guest.mode,
      ...(guest.mode === 'long64' ? { cr3: TABLES[guest.tables] } : {}),
      regs: { rip: CODE_AT, rsp: 0x7000, rax: 0x12345678, rbp: 7, rflags: guest.asynchronous ? 0x202 : 2 },
    });
    runVcpu(this.machine, this.#onExit, 300);
  }

  /** Listens to what the fault path records, before it goes into the ring. */
  #record(): void {
    const { vm } = this.machine;
    const record = vm.record.bind(vm);
    vm.record = (kind, word, gfn, verdict) => {
      if (kind === EV_FAULT) this.recorded.push({ word, gfn, verdict });
      record(kind, word, gfn, verdict);
    };
  }

  readonly #onExit: OnExit<true> = (name, exit) => {
    switch (name) {
      case 'efault':
        return ++this.#errors > 2 || undefined;
      case 'mmio-read':
        exit.data.fill(0xff);
        return undefined;
      case 'mmio-write':
        return undefined;
      case 'io': {
        const next = this.#events.shift();
        if (next !== undefined) EVENTS[next](this);
        return undefined;
      }
      default:
        return true;
    }
  };
}

/** One fault as it is told: its entries, and the facts that hold for it. */
interface Told {
  readonly life: Life;
  readonly facts: string;
  readonly steps: LifeStep[];
}

/** The faults told, in order, up to the first life that was cut. */
function toldFaults(lives: readonly Life[]): Told[] {
  const told: Told[] = [];
  const cut = lives.findIndex((life) => life.untold !== undefined);
  for (const life of cut < 0 ? lives : lives.slice(0, cut)) {
    let { facts } = life;
    for (const step of life.steps) {
      facts = step.facts ?? facts;
      if (step.at === 'kvm_mmu_page_fault()') told.push({ life, facts, steps: [] });
      told.at(-1)?.steps.push(step);
    }
  }
  return told;
}

const places = (told: Told): readonly string[] => told.steps.map((s) => s.at);
const tellsPath = (told: Told): boolean => places(told).includes('__gfn_to_hva_many()');
const tellsFast = (told: Told): boolean => places(told).includes('fast_page_fault()') && !tellsPath(told);
const wordOf = (facts: string): number =>
  FACT_NAMES.reduce((word, name, bit) => word | (facts.split(' ').includes(name) ? 1 << bit : 0), 0);

/** What only happens on the fault path. */
const ON_PATH =
  /^(hva_to_pfn|handle_mm_fault|filemap_fault|make_spte|kvm_faultin_pfn|kvm_handle_error_pfn|handle_abnormal)/;

/** The entries of the fault path for a word; of the told ones, what it adds from the record is left out. */
function pathOf(word: number, { series }: Strategy): string[] {
  const entries: string[] = [];
  const watch: Watch = (at, says, _step, asked) => entries.push(`${at} ${says} ${asked?.decision ?? ''}`);
  walkFault(word, compileSeries(series).policy, watch);
  return entries;
}

function pathTold(told: Told, length: number): string[] {
  const from = places(told).indexOf('__gfn_to_hva_many()');
  return told.steps
    .slice(from)
    .filter((s) => s.at !== 'do_cow_fault()')
    .slice(0, length)
    .map((s) => `${s.at} ${s.says} ${s.decision ?? ''}`);
}

/** Every fault that was recorded is told as what it was, in this order, and no other is told so. */
function checkRecorded(world: World, strategy: Strategy): void {
  const { verdicts } = compileSeries(strategy.series);
  const told = toldFaults(world.machine.life(Number.POSITIVE_INFINITY));
  const handled = told.filter((t) => tellsPath(t) || tellsFast(t));
  const recorded = world.recorded.slice(0, handled.length);
  if (world.machine.life(Number.POSITIVE_INFINITY).every((l) => l.untold === undefined))
    expect(handled.length).toBe(world.recorded.length);
  handled.forEach((t, i) => {
    const { word, gfn, verdict } = recorded[i]!;
    expect(tellsFast(t)).toBe(word < 0);
    const oneFault = Object.values(t.life.faults).reduce((a, b) => a + b, 0) === 1;
    if (oneFault) expect(Math.floor(Number.parseInt(t.life.gpa, 16) / PAGE_SIZE)).toBe(gfn);
    if (word < 0) return;
    expect(isLegal(word)).toBe(true);
    expect(wordOf(t.facts)).toBe(word);
    expect(verdict).toBe(verdicts[word]);
    const path = pathOf(word, strategy);
    // Where the host's mapping changed meanwhile no entry is made, which is the path's last word.
    const stale = places(t).includes('is_page_fault_stale()') ? 1 : 0;
    expect(pathTold(t, path.length - stale)).toEqual(path.slice(0, path.length - stale));
  });
  for (const t of told) if (!tellsPath(t)) expect(places(t).filter((at) => ON_PATH.test(at))).toEqual([]);
}

/** Lives count every fault once, as the machine does, and tell of no step that was not taken. */
function checkCounts({ machine }: World): void {
  const lives = machine.life(Number.POSITIVE_INFINITY);
  const { faults, steps } = machine.observe();
  const counted = FAULT_KINDS.map((kind) => [
    kind,
    lives.reduce((n, life) => n + (life.faults[kind] ?? 0), 0),
  ]);
  expect(Object.fromEntries(counted)).toEqual(faults);
  const work = lives.flatMap((life) => life.steps.flatMap((s) => s.work ?? []));
  for (const step of STEPS)
    expect(work.filter((w) => w === step).length, step).toBeLessThanOrEqual(steps[step] ?? 0);
}

/** Who is said to have decided could have. */
function checkDeciders({ machine }: World, { series }: Strategy): void {
  for (const { steps } of machine.life(Number.POSITIVE_INFINITY))
    for (const { decision, patch } of steps) {
      if (patch === undefined) continue;
      const named = series.find((p) => p.name === patch);
      expect(named && decisionsOf(named)).toContain(decision);
    }
}

/** Ways that were taken by any of the guests. */
const taken = new Set<number>();

describe.each<Paging>(['npt', 'shadow'])('what is told of every random guest, %s', (paging) => {
  it.each(STRATEGIES.map((s) => [s.name, s] as const))('%s', (_name, strategy) => {
    fc.assert(
      fc.property(guests, (guest) => {
        const world = new World(guest, strategy, paging);
        checkCounts(world);
        checkRecorded(world, strategy);
        checkDeciders(world, strategy);
        if (world.recorded.length > 0) taken.add(HOW_PATH);
        for (const [how, times] of world.machine.mmu.taken.hows.entries()) if (times > 0) taken.add(how);
      }),
      { numRuns: 40 },
    );
  });
});

it('and some of them take every way there is', () => {
  expect([HOW_NONE, ...taken].toSorted((a, b) => a - b)).toEqual(HOWS.map((_, how) => how));
});
