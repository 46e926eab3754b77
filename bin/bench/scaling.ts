/** How the hot loops grow: with slots, with guest memory, with strategies alive; and what instructions cost. */

import {
  BenchMachine,
  type GuestLayout,
  pageList,
  ROM_64,
  STANDARD,
} from '../../engine/core/batch/bench-machine.ts';
import { copyLoop, type GuestLoop, LoopSet, registerLoop, storeLoop } from '../../engine/core/batch/loops.ts';
import type { Strategy } from '../../strategies/index.ts';
import { type CPort, loadAddon } from './addon.ts';
import { policyFor } from './against-c.ts';
import { CMachine } from './c-machine.ts';
import { measurePair, slice } from './pairs.ts';

/** One point of a curve beside C at the same size. */
export interface Point {
  readonly at: number;
  readonly ns: number;
  readonly cNs: number;
  readonly ratio: number;
}

/** What `compare bench --against c` says about growth. */
export interface Scaling {
  /** A refused store to a random one of so many slots; C searches, the core has an index. */
  readonly slots: readonly Point[];
  /** Loads, and stores after all entries went, to the same number of pages spread over so many MiB. */
  readonly hitBySize: readonly Point[];
  readonly remapBySize: readonly Point[];
  /** Bytes of the machine's tables and frames, by MiB of guest memory. */
  readonly memoryBySize: readonly { readonly at: number; readonly bytes: number }[];
  /** Refused stores with one strategy in the process, and with all: nanoseconds and ratio to C, and their ratio. */
  readonly strategies: { readonly one: Point; readonly all: Point; readonly slowdown: number };
  /** Guest instructions a second: registers only, and copying words. */
  readonly instructionsPerSecond: { readonly registers: number; readonly copy: number };
  /** Refused stores a second as a guest does them: decoded, emulated, left with an exit, entered again. */
  readonly exitsPerSecond: number;
  /** Heap held by 2^20 accesses of each kind, an access. */
  readonly bytesPerAccess: number;
}

const SLOTS = [1, 8, 64, 512, 4096];
const MIB = [1, 16, 256, 4096, 65536];
/** Pages touched whatever the size: all of the smallest. */
const TOUCHED = 256;
const LIST = 4096;

/** A list of pages by a small generator of its own: the same on every machine. */
function scattered(n: number, page: (random: number) => number): Int32Array {
  let x = 12345;
  return pageList(n, () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return page(x >>> 0);
  });
}

function bySlots(rom: Strategy, port: CPort, policy: number, pairs: number): Point[] {
  return SLOTS.map((roms) => {
    const layout: GuestLayout = { ramPages: 64, roms, romGfn: 0x10000, romPages: 16, gap: 64 };
    const list = scattered(LIST, (r) => layout.romGfn + (r % roms) * layout.gap + ((r >>> 16) & 15));
    const bench = new BenchMachine(rom, layout);
    bench.batch.runReads(list, LIST - 1, LIST);
    const c = new CMachine(port, policy, rom.layout, layout, roms * 16 + 128);
    const cList = port.list(list);
    c.runReads(cList, LIST - 1, LIST);
    const operations = 20_000;
    const result = measurePair(
      { operations, run: () => bench.batch.runWrites(list, LIST - 1, operations) },
      { operations, run: () => c.runWrites(cList, LIST - 1, operations) },
      pairs,
    );
    c.drop();
    return { at: roms, ns: result.ns, cNs: result.referenceNs, ratio: result.ratio };
  });
}

function bySize(
  rom: Strategy,
  port: CPort,
  policy: number,
  pairs: number,
): Pick<Scaling, 'hitBySize' | 'remapBySize' | 'memoryBySize'> {
  const hitBySize: Point[] = [];
  const remapBySize: Point[] = [];
  const memoryBySize: { at: number; bytes: number }[] = [];
  for (const at of MIB) {
    const pages = at * 256;
    const layout: GuestLayout = { ramPages: pages, roms: 0, romGfn: pages + 1024, romPages: 16, gap: 64 };
    // An odd stride spreads the pages and keeps them apart in both TLBs.
    const stride = Math.floor(pages / TOUCHED) | 1;
    const distinct = pageList(TOUCHED, (i) => (i * stride) % pages);
    const list = pageList(LIST, (i) => distinct[i & (TOUCHED - 1)] ?? 0);
    const bench = new BenchMachine(rom, layout);
    bench.batch.runWrites(list, LIST - 1, LIST);
    const c = new CMachine(port, policy, rom.layout, layout, TOUCHED + 16);
    const cList = port.list(list);
    c.runWrites(cList, LIST - 1, LIST);
    const hits = 100_000;
    const hit = measurePair(
      { operations: hits, run: () => bench.batch.runReads(list, 63, hits) },
      { operations: hits, run: () => c.runReads(cList, 63, hits) },
      pairs,
    );
    const remap = measurePair(
      {
        operations: TOUCHED,
        run: () => bench.batch.runWrites(list, 255, TOUCHED),
        prepare: () => bench.unmapAll(),
      },
      {
        operations: TOUCHED,
        run: () => c.runWrites(cList, 255, TOUCHED),
        prepare: () => c.zap(cList, TOUCHED, false),
      },
      pairs,
    );
    c.drop();
    hitBySize.push({ at, ns: hit.ns, cNs: hit.referenceNs, ratio: hit.ratio });
    remapBySize.push({ at, ns: remap.ns, cNs: remap.referenceNs, ratio: remap.ratio });
    memoryBySize.push({ at, bytes: bench.bytes });
  }
  return { hitBySize, remapBySize, memoryBySize };
}

function byStrategies(
  rom: Strategy,
  all: readonly Strategy[],
  port: CPort,
  policy: number,
  pairs: number,
): Scaling['strategies'] {
  const roms = port.list(ROM_64);
  const c = new CMachine(port, policy, rom.layout, { ...STANDARD, ramPages: 64 }, 1024);
  c.runReads(roms, 63, 64);
  const set = new LoopSet(rom);
  const operations = 40_000;
  const point = (at: number): Point => {
    const { ns, referenceNs, ratio } = measurePair(
      { operations, run: () => set.plain.batch.runWrites(ROM_64, 63, operations) },
      { operations, run: () => c.runWrites(roms, 63, operations) },
      pairs * 2,
      8,
    );
    return { at, ns, cNs: referenceNs, ratio };
  };
  const one = point(1);
  const others = all.map((s) => new LoopSet(s));
  for (let i = 0; i < 3; i++) {
    for (const other of others) {
      for (const loop of other.loops()) {
        loop.prepare?.();
        loop.run();
      }
    }
  }
  const many = point(all.length);
  c.drop();
  return { one, all: many, slowdown: many.ratio / one.ratio };
}

function perSecond(loop: GuestLoop, samples: number): number {
  const work = { operations: loop.instructions, run: () => loop.run() };
  for (let i = 0; i < 5; i++) slice(work);
  const ns = Array.from({ length: samples }, () => slice(work)).toSorted((a, b) => a - b);
  return Math.round(1e9 / (ns[samples >> 1] ?? Number.NaN));
}

/** Heap that 2^20 accesses of each kind hold, an access; the median of rounds, for a collection hides what was held. */
function bytesPerAccess(rom: Strategy): number {
  const set = new LoopSet(rom);
  const loops = set.loops();
  const round = (): number => {
    let held = 0;
    let operations = 0;
    for (const loop of loops) {
      loop.prepare?.();
      const before = process.memoryUsage().heapUsed;
      loop.run();
      held += Math.max(0, process.memoryUsage().heapUsed - before);
      operations += loop.operations;
    }
    return held / operations;
  };
  for (let i = 0; i < 10; i++) round();
  const rounds = Array.from({ length: 9 }, round).toSorted((a, b) => a - b);
  return rounds[4] ?? Number.NaN;
}

/** Measures growth, one strategy first and alone. */
export function measureScaling(
  addon: string,
  rom: Strategy,
  all: readonly Strategy[],
  pairs: number,
): Scaling {
  const port = loadAddon(addon);
  const policy = policyFor(port, rom);
  const strategies = byStrategies(rom, all, port, policy, pairs);
  return {
    slots: bySlots(rom, port, policy, pairs),
    ...bySize(rom, port, policy, pairs),
    strategies,
    instructionsPerSecond: {
      registers: perSecond(registerLoop(200_000, rom), pairs),
      copy: perSecond(copyLoop(0x4000, rom), pairs),
    },
    exitsPerSecond: Math.round(perSecond(storeLoop(2000, rom), pairs) / 3),
    bytesPerAccess: bytesPerAccess(rom),
  };
}
