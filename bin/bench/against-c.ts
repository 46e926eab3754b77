/** Every hot loop of every strategy against the same loop of the C port, in this process. */
import { type Loop, LoopSet, type Op, workDigests } from '../../engine/core/batch/loops.ts';
import { RAM_64, RAM_4096, ROM_64, STANDARD } from '../../engine/core/batch/workload.ts';
import type { Strategy } from '../../strategies/index.ts';
import type { CPort } from './addon.ts';
import { measurePair, type Sliced } from './pairs.ts';

/** Policies of the C port: what it makes of a refused store. */
const POLICY = { mmio: 0, efault: 1, lands: 0 } as const;
/** Page frames of a C VM: what the lists touch, and some. */
const FRAMES = 6000;

/** One loop of one strategy beside C. */
export interface CRow {
  readonly op: Op;
  readonly strategy: string;
  readonly ns: number;
  readonly cNs: number;
  readonly ratio: number;
  /** What the loop does to a fresh machine (engine/core/batch/loops.ts). */
  readonly digest: string;
}

/** The C port's VMs and lists for the standard layout. */
export class CSide {
  readonly #port: CPort;
  readonly #vms: readonly number[];
  readonly #ram64: number;
  readonly #rom64: number;
  readonly #ram4096: number;

  constructor(port: CPort) {
    this.#port = port;
    this.#ram64 = port.list(RAM_64);
    this.#rom64 = port.list(ROM_64);
    this.#ram4096 = port.list(RAM_4096);
    const { roms, ramPages, romGfn, romPages, gap } = STANDARD;
    this.#vms = [0, 1].map((policy) => {
      const vm = port.make(policy, roms + 1, ramPages, romGfn, romPages, gap, FRAMES);
      port.runWrites(vm, this.#ram4096, 4095, 4096);
      port.runWrites(vm, this.#ram64, 63, 64);
      port.runReads(vm, this.#rom64, 63, 64);
      return vm;
    });
  }

  /** The C loop that does what one of ours does; a remembered refusal is compared with one that is decided. */
  loop(loop: Loop, store: LoopSet['store']): Sliced {
    const port = this.#port;
    const vm = this.#vms[POLICY[store]] ?? 0;
    const n = loop.operations;
    const { operations } = loop;
    switch (loop.op) {
      case 'read-hit':
        return { operations, run: () => port.runReads(vm, this.#ram64, 63, n) };
      case 'write-hit':
        return { operations, run: () => port.runWrites(vm, this.#ram64, 63, n) };
      case 'rom-write':
      case 'rom-write-cached':
        return { operations, run: () => port.runWrites(vm, this.#rom64, 63, n) };
      case 'tlb-miss':
        return { operations, run: () => port.runReads(vm, this.#ram4096, 4095, n) };
      default: {
        const evict = loop.op === 'cold' ? 1 : 0;
        const prepare = (): number => port.zap(vm, this.#ram4096, 4096, evict);
        return { operations, run: () => port.runWrites(vm, this.#ram4096, 4095, n), prepare };
      }
    }
  }
}

/** Measures all loops of all strategies, all of them alive and warm. */
export function measureAgainstC(
  strategies: readonly Strategy[],
  port: CPort,
  pairs: number,
): readonly CRow[] {
  const c = new CSide(port);
  const sets = strategies.map((s) => ({ name: s.name, set: new LoopSet(s) }));
  for (let round = 0; round < 4; round++) {
    for (const { set } of sets) {
      for (const loop of set.loops()) {
        loop.prepare?.();
        loop.run();
      }
    }
  }
  const digests = new Map(strategies.map((s) => [s.name, workDigests(s)]));
  return sets.flatMap(({ name, set }) =>
    set.loops().map((loop) => {
      const { ns, referenceNs, ratio } = measurePair(loop, c.loop(loop, set.store), pairs);
      return {
        op: loop.op,
        strategy: name,
        ns,
        cNs: referenceNs,
        ratio,
        digest: digests.get(name)?.get(loop.op) ?? '',
      };
    }),
  );
}
