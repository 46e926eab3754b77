/** Every hot loop of every strategy against the same loop of the C port, in this process. */

import {
  type GuestLayout,
  RAM_64,
  RAM_4096,
  ROM_64,
  type RomSpec,
  STANDARD,
} from '../../engine/core/batch/bench-machine.ts';
import { type Loop, LoopSet, type Op, workDigests } from '../../engine/core/batch/loops.ts';
import { digestOf, type Work, workOf } from '../../engine/core/batch/work.ts';
import type { Vm } from '../../engine/core/vm.ts';
import type { Strategy } from '../../strategies/index.ts';
import type { CPort } from './addon.ts';
import { CMachine } from './c-machine.ts';
import { measurePair } from './pairs.ts';

/** Page frames of a C VM: what the lists touch and what fault-around maps, and some. */
const FRAMES = 6000;

/** One loop of one strategy beside C. */
export interface CRow {
  readonly op: Op;
  readonly strategy: string;
  /** The policy of the C port that does the same. */
  readonly policy: string;
  readonly ns: number;
  readonly cNs: number;
  readonly ratio: number;
  /** What the loop does to a fresh machine (engine/core/batch/work.ts): ours, and the C port's. */
  readonly digest: string;
}

/** The standard lists as the C port's. */
export interface CLists {
  readonly ram64: number;
  readonly rom64: number;
  readonly ram4096: number;
}

/** Gives the port the standard lists; it keeps them. */
export const cLists = (port: CPort): CLists => ({
  ram64: port.list(RAM_64),
  rom64: port.list(ROM_64),
  ram4096: port.list(RAM_4096),
});

/** The C port's LoopSet: its machines, brought to where those of ours begin. */
class CLoopSet {
  readonly plain: CMachine;
  readonly cached: CMachine;
  readonly #lists: CLists;

  constructor(port: CPort, lists: CLists, policy: number, rom: RomSpec) {
    const machine = (guest: GuestLayout): CMachine => new CMachine(port, policy, rom.layout, guest, FRAMES);
    this.#lists = lists;
    this.plain = machine(STANDARD);
    this.cached = machine({ ...STANDARD, ramPages: 64 });
    this.plain.runWrites(lists.ram4096, 4095, 4096);
    this.plain.runWrites(lists.ram64, 63, 64);
    this.plain.runReads(lists.rom64, 63, 64);
    this.cached.runReads(lists.rom64, 63, 64);
    // The store that a LoopSet finds out with what a store comes to.
    this.plain.runWrites(lists.rom64, 63, 1);
  }

  /** The C loop that does what one of ours does; a remembered refusal is compared with one that is decided. */
  loop({ op, operations }: Loop): Loop {
    const { ram64, rom64, ram4096 } = this.#lists;
    const { plain, cached } = this;
    switch (op) {
      case 'read-hit':
        return { op, operations, run: () => plain.runReads(ram64, 63, operations) };
      case 'write-hit':
        return { op, operations, run: () => plain.runWrites(ram64, 63, operations) };
      case 'rom-write':
        return { op, operations, run: () => plain.runWrites(rom64, 63, operations) };
      case 'rom-write-cached':
        return { op, operations, run: () => cached.runWrites(rom64, 63, operations) };
      case 'tlb-miss':
        return { op, operations, run: () => plain.runReads(ram4096, 4095, operations) };
      default: {
        const prepare = (): void => plain.zap(ram4096, 4096, op === 'cold');
        return { op, operations, run: () => plain.runWrites(ram4096, 4095, operations), prepare };
      }
    }
  }

  /** Frees both. */
  drop(): void {
    this.plain.drop();
    this.cached.drop();
  }
}

/** What one loop came to on fresh machines: what was read, what was counted, and the digest of that and the events. */
export interface LoopWork extends Work {
  readonly op: Op;
  readonly read: number;
  readonly digest: string;
}

/** Runs loops once, in order, and says after each what it had come to. */
function workOfEach(loops: readonly Loop[], heapOf: (op: Op) => Vm): readonly LoopWork[] {
  return loops.map(({ op, prepare, run }) => {
    prepare?.();
    const result = run();
    const heap = heapOf(op);
    // Stores return how many exits they took, which C does not count: the steps say it.
    const read = op === 'read-hit' || op === 'tlb-miss' ? result : 0;
    return { op, read, ...workOf(heap), digest: digestOf(heap) };
  });
}

/** What the loops of a strategy do to fresh machines of the core. */
export function workOfCore(rom: RomSpec): readonly LoopWork[] {
  const set = new LoopSet(rom);
  return workOfEach(set.loops(), (op) => (op === 'rom-write-cached' ? set.cached : set.plain).machine.vm);
}

/** The same with fresh machines of the C port under one of its policies. */
export function workOfC(port: CPort, lists: CLists, policy: number, rom: RomSpec): readonly LoopWork[] {
  const c = new CLoopSet(port, lists, policy, rom);
  try {
    const loops = new LoopSet(rom).loops().map((loop) => c.loop(loop));
    return workOfEach(loops, (op) => (op === 'rom-write-cached' ? c.cached : c.plain).heap());
  } finally {
    c.drop();
  }
}

/**
 * The policy of the C port that does a strategy's work, loop by loop. Throws if none does: a ratio would say nothing.
 */
export function policyFor(port: CPort, rom: Strategy, lists: CLists = cLists(port)): number {
  const work = workOfCore(rom);
  const same = (c: LoopWork, i: number): boolean => c.digest === work[i]?.digest && c.read === work[i]?.read;
  const policy = port.policyNames.findIndex((_, p) => workOfC(port, lists, p, rom).every(same));
  if (policy < 0) throw new Error(`${rom.name}: no policy of the C port does the same work`);
  return policy;
}

/** Measures all loops of all strategies, all of them alive and warm. Throws where the C port does other work. */
export function measureAgainstC(
  strategies: readonly Strategy[],
  port: CPort,
  pairs: number,
): readonly CRow[] {
  const lists = cLists(port);
  const sets = strategies.map((strategy) => {
    const policy = policyFor(port, strategy, lists);
    return { strategy, policy, set: new LoopSet(strategy), digests: workDigests(strategy) };
  });
  for (let round = 0; round < 4; round++) {
    for (const { set } of sets) {
      for (const loop of set.loops()) {
        loop.prepare?.();
        loop.run();
      }
    }
  }
  return sets.flatMap(({ strategy, policy, set, digests }) => {
    const c = new CLoopSet(port, lists, policy, strategy);
    const rows = set.loops().map((loop): CRow => {
      const { ns, referenceNs, ratio } = measurePair(loop, c.loop(loop), pairs);
      return {
        op: loop.op,
        strategy: strategy.name,
        policy: port.policyNames[policy] ?? '',
        ns,
        cNs: referenceNs,
        ratio,
        digest: digests.get(loop.op) ?? '',
      };
    });
    c.drop();
    return rows;
  });
}
