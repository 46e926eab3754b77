/** The hot loops by name: what one batch of each does, how often, and what has to happen before it. */

import { type OnExit, runVcpu } from '../../vmm/loop.ts';
import type { CoreMachine } from '../core-machine.ts';
import { EV_EXIT, EV_REFUSED, RING, RING_MASK } from '../vm.ts';
import { BenchMachine, RAM_64, RAM_4096, ROM_64, type RomSpec, STANDARD } from './bench-machine.ts';

/** The loops' names, in the order of reports. */
export const OPS = [
  'read-hit',
  'write-hit',
  'rom-write',
  'rom-write-cached',
  'tlb-miss',
  'remap',
  'cold',
] as const;
export type Op = (typeof OPS)[number];

/** One loop on one machine. */
export interface Loop {
  readonly op: Op;
  /** Accesses that one run() makes. */
  readonly operations: number;
  readonly run: () => number;
  /** Untimed, before every run(). */
  readonly prepare?: () => void;
}

/** The machines of one strategy, and what its ROM stores come to. */
export class LoopSet {
  readonly plain: BenchMachine;
  /** The same ROM, refusals remembered. */
  readonly cached: BenchMachine;
  /** What a ROM store ends in: an exit, an error, or nothing at all (it lands). */
  readonly store: 'mmio' | 'efault' | 'lands';

  constructor(rom: RomSpec) {
    this.plain = new BenchMachine(rom);
    this.cached = new BenchMachine(rom, { ...STANDARD, ramPages: 64 }, true);
    this.plain.populate();
    this.cached.batch.runReads(ROM_64, 63, 64);
    this.store = storeOf(this.plain);
  }

  /** The loops that mean something for this strategy: a store that lands is no fault to be measured. */
  loops(): readonly Loop[] {
    const { plain, cached } = this;
    const hits = 100_000;
    const faults = 40_000;
    const all: readonly Loop[] = [
      { op: 'read-hit', operations: hits, run: () => plain.batch.runReads(RAM_64, 63, hits) },
      { op: 'write-hit', operations: hits, run: () => plain.batch.runWrites(RAM_64, 63, hits) },
      { op: 'rom-write', operations: faults, run: () => plain.batch.runWrites(ROM_64, 63, faults) },
      { op: 'rom-write-cached', operations: faults, run: () => cached.batch.runWrites(ROM_64, 63, faults) },
      { op: 'tlb-miss', operations: faults, run: () => plain.batch.runReads(RAM_4096, 4095, faults) },
      {
        op: 'remap',
        operations: RAM_4096.length,
        run: () => plain.batch.runWrites(RAM_4096, 4095, RAM_4096.length),
        prepare: () => plain.unmapAll(),
      },
      {
        op: 'cold',
        operations: RAM_4096.length,
        run: () => plain.batch.runWrites(RAM_4096, 4095, RAM_4096.length),
        prepare: () => plain.evict(),
      },
    ];
    return this.store === 'lands' ? all.filter((l) => !l.op.startsWith('rom-write')) : all;
  }
}

/** What each loop does to a fresh machine, in order, as a digest: equal digests, equal work. */
export function workDigests(rom: RomSpec): ReadonlyMap<Op, string> {
  const set = new LoopSet(rom);
  return new Map(
    set.loops().map((loop): [Op, string] => {
      loop.prepare?.();
      loop.run();
      return [loop.op, (loop.op === 'rom-write-cached' ? set.cached : set.plain).digest()];
    }),
  );
}

/**
 * A loop that has nothing to do with faults: what a machine's nanoseconds are worth. Times divided by its time can be
 * set beside those of another machine.
 */
export function referenceLoop(n: number): number {
  const table = new Int32Array(256);
  let x = 1;
  for (let i = 0; i < n; i = (i + 1) | 0) {
    x = (Math.imul(x, 0x19660d) + 0x3c6ef35f) | 0;
    const at = (x >>> 16) & 255;
    table[at] = (table[at]! ^ x) | 0;
  }
  return table[x & 255]!;
}

function storeOf(bench: BenchMachine): LoopSet['store'] {
  const { vm } = bench.machine;
  const exits = bench.batch.runWrites(ROM_64, 63, 1);
  const at = RING + ((vm.ringAt - 4) & RING_MASK);
  const kind = vm.h[at]! & 15;
  if (exits === 0 || (kind !== EV_REFUSED && kind !== EV_EXIT)) return 'lands';
  const action = vm.h[at + 3]! & 7;
  return kind === EV_REFUSED && action === 4 ? 'efault' : 'mmio';
}

/** Guest code at address 0 of 64 KiB of RAM, run from rip 0 in flat 32-bit mode to its HLT. */
export class GuestLoop {
  #exits = 0;
  readonly #bench: BenchMachine;
  readonly instructions: number;

  constructor(code: readonly number[], instructions: number, rom: RomSpec) {
    this.#bench = new BenchMachine(rom, { ...STANDARD, ramPages: 64 });
    this.#bench.machine.poke(0, 0, Uint8Array.from(code));
    this.instructions = instructions;
  }

  /** One run to the HLT. */
  run(): number {
    const m: CoreMachine = this.#bench.machine;
    m.setupVcpu({ mode: 'prot32' });
    this.#exits = 0;
    runVcpu(m, this.#onExit, Number.POSITIVE_INFINITY);
    return this.#exits;
  }

  /** Anything but an access to the ROM ends the run. */
  readonly #onExit: OnExit<true> = (name) => {
    if (name !== 'mmio-read' && name !== 'mmio-write') return true;
    this.#exits++;
    return undefined;
  };
}

const int32 = (n: number): number[] => [n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24];

/** mov ecx, n; 1: add eax, ecx; xor edx, eax; dec ecx; jnz 1b; hlt */
export const registerLoop = (n: number, rom: RomSpec): GuestLoop =>
  new GuestLoop([0xb9, ...int32(n), 0x01, 0xc8, 0x31, 0xc2, 0x49, 0x75, 0xf9, 0xf4], 4 * n + 2, rom);

/** mov ecx, n; 1: mov eax, [ecx*4+0x10000]; mov [ecx*4+0x20000], eax; dec ecx; jnz 1b; hlt. At most 0x4000 words. */
export const copyLoop = (n: number, rom: RomSpec): GuestLoop =>
  new GuestLoop(
    // biome-ignore format: one instruction a line
    [
      0xb9, ...int32(n),
      0x8b, 0x04, 0x8d, ...int32(0x10000),
      0x89, 0x04, 0x8d, ...int32(0x20000),
      0x49,
      0x75, 0xef,
      0xf4,
    ],
    4 * n + 2,
    rom,
  );

/** mov ecx, n; mov edi, ROM; 1: mov [edi], al; dec ecx; jnz 1b; hlt: the whole path with decoding and the exit record. */
export const storeLoop = (n: number, rom: RomSpec): GuestLoop =>
  new GuestLoop(
    // biome-ignore format: one instruction a line
    [
      0xb9, ...int32(n),
      0xbf, ...int32(STANDARD.romGfn * 4096),
      0x88, 0x07,
      0x49,
      0x75, 0xfb,
      0xf4,
    ],
    3 * n + 3,
    rom,
  );
