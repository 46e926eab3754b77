/**
 * Runs a plan on real kernels: a row a layout and kernel, one kernel after the other. What a kernel is said to contain
 * decides whose claims a row is held against; what cannot be shown on it is listed.
 */
import type { KernelEngine } from '../../engine/kernel/engine.ts';
import type { Patch } from '../../engine/policy.ts';
import type { Comparison, KernelInfo, Run } from '../../scenarios/run/comparison.ts';
import { comparisonOf, type Prepared, prepareComparison } from '../../scenarios/run/runner.ts';
import { PATCHES, STRATEGIES, type Strategy } from '../../strategies/index.ts';
import { byName } from '../input/mistyped.ts';
import { type Io, UsageError } from '../io.ts';
import { createProgress } from '../output/progress.ts';
import { version } from '../version.ts';
import type { KernelWord } from './kernel-words.ts';
import type { Plan } from './plan.ts';
import { choose } from './prepare.ts';

/** What of the chosen strategies a kernel can show, and why not the rest. */
export interface OnKernel {
  readonly strategies: readonly Strategy[];
  readonly leftOut: readonly string[];
}

/** Makes everything ready; kernels are started when it runs. */
export async function readyKernels(plan: Plan, kernels: readonly KernelWord[], io: Io) {
  const chosen = await choose(plan);
  const given = plan.strategies !== undefined;
  const shown = kernels.map((kernel) => ({ kernel, ...strategiesOn(kernel, chosen.strategies, given) }));
  const nothing = shown.find((s) => s.strategies.length === 0);
  if (nothing !== undefined)
    throw new UsageError(`--kernel ${nothing.kernel.name}: ${nothing.leftOut.join('; ')}`);
  const run = async (): Promise<Comparison> => {
    const parts: Comparison[] = [];
    for (const { kernel, strategies, leftOut } of shown) {
      if (io.signal.aborted) break;
      parts.push(await runOn(kernel, { ...plan, ...chosen, strategies }, leftOut, io));
    }
    return merged(parts);
  };
  return { run, close: () => {} };
}

/** The layouts a kernel can be asked about: all of them once, and a series only where it is said to be in the kernel. */
export function strategiesOn(kernel: KernelWord, strategies: readonly Strategy[], given: boolean): OnKernel {
  const patches = kernel.patches?.map((name) => byName(name, PATCHES, 'patch').name);
  const leftOut: string[] = [];
  const layouts = new Set<string>();
  const found: Strategy[] = [];
  for (const strategy of strategies) {
    const series = strategy.series.map((p) => p.name);
    const same = patches !== undefined && sameSet(patches, series);
    const layout = JSON.stringify([strategy.layout, strategy.vmm?.onEfault]);
    if (patches !== undefined && !same && series.length > 0 && given) {
      leftOut.push(
        `${strategy.name} on ${kernel.name}, which is not said to have its series (${series.join(', ')})`,
      );
      continue;
    }
    if (layouts.has(layout) && !same) continue;
    layouts.add(layout);
    found.push({
      ...strategy,
      name: `${strategy.name}@${kernel.name}`,
      cover: `The layout of ${strategy.name} on kernel ${kernel.name}.`,
      series: [],
      claimed: same || (patches !== undefined && series.length === 0) ? strategy.name : '',
    });
  }
  return { strategies: found, leftOut };
}

/** The strategy whose series a kernel of today has, unless it is said otherwise. */
const TODAY = 'readonly-memslot';

/** The patches that are in a kernel: as said, or those that every kernel since 3.9 has. */
export function seriesIn(kernel: KernelWord): readonly Patch[] {
  if (kernel.patches !== undefined) return kernel.patches.map((name) => byName(name, PATCHES, 'patch'));
  return byName(TODAY, STRATEGIES, 'strategy').series;
}

const sameSet = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((x) => b.includes(x));

/** Starts a kernel; one line that says what is wrong where that cannot be. */
export async function startKernel(
  kernel: KernelWord,
  paging: Plan['paging'],
  options: { readonly icount?: boolean } = {},
): Promise<KernelEngine> {
  const { KernelUnfit, startHostEngine, startQemuEngine } = await import('../../engine/kernel/engine.ts');
  try {
    if (kernel.path !== undefined)
      return startQemuEngine(kernel.path, { ...options, shadow: paging === 'shadow' });
    return startHostEngine();
  } catch (error) {
    if (error instanceof KernelUnfit) throw new UsageError(`--kernel ${kernel.name}: ${error.message}`);
    throw error;
  }
}

interface Chosen {
  readonly scenarios: Parameters<typeof prepareComparison>[0]['scenarios'];
  readonly strategies: readonly Strategy[];
}

async function runOn(
  kernel: KernelWord,
  plan: Omit<Plan, 'scenarios' | 'strategies' | 'params'> & Chosen & { readonly params: unknown },
  leftOut: readonly string[],
  io: Io,
): Promise<Comparison> {
  const { createCoreMachine } = await import('../../engine/core/core-machine.ts');
  const line = createProgress(io);
  line.show(`booting ${kernel.name}`);
  const engine = await startKernel(kernel, plan.paging);
  try {
    const { scenarios, strategies, paging, seed, profile } = plan;
    const params = plan.params as Readonly<Record<string, string | number>>;
    const frame = { scenarios, strategies, params, paging, seed, profile };
    const both = { ...frame, version: version(), command: plan.command };
    const real = prepareComparison({
      ...both,
      createMachine: ({ budget }) => engine.createMachine({ budget }),
    });
    // The core plays the kernel, for its predicted instructions beside the counted ones.
    const series = seriesIn(kernel);
    const core = prepareComparison({ ...both, createMachine: (r) => createCoreMachine({ ...r, series }) });
    const prepared: Prepared = {
      frame: real.frame,
      run: async (i, j, signal) => {
        const [run, predicted] = [await real.run(i, j, signal), await core.run(i, j, signal)];
        return run && { ...run, ...(predicted?.cost === undefined ? {} : { cost: predicted.cost }) };
      },
    };
    const runs = await runAll(prepared, io, (text) => line.show(`${text} on ${kernel.name}`));
    const info: KernelInfo = {
      name: kernel.name,
      engine: kernel.path === undefined ? 'kvm' : 'qemu',
      version: engine.version,
    };
    return { ...comparisonOf(prepared.frame, runs), kernels: [info], leftOut };
  } finally {
    line.clear();
    engine.stop();
  }
}

async function runAll(prepared: Prepared, io: Io, says: (text: string) => void): Promise<Run[]> {
  const runs: Run[] = [];
  for (const [i, scenario] of prepared.frame.scenarios.entries()) {
    for (const [j, strategy] of prepared.frame.strategies.entries()) {
      if (io.signal.aborted) return runs;
      says(`${scenario.name} under ${strategy.name}`);
      await new Promise((resolve) => setTimeout(resolve, 0));
      const run = await prepared.run(i, j, io.signal);
      if (run !== undefined) runs.push(run);
    }
  }
  return runs;
}

/** The kernels side by side: rows of one layout stand together. */
function merged(parts: readonly Comparison[]): Comparison {
  const [first, ...more] = parts;
  if (first === undefined) throw new UsageError('interrupted before the first kernel had booted');
  const layout = (name: string): string => name.slice(0, name.lastIndexOf('@'));
  const order = STRATEGIES.map((s) => s.name);
  const strategies = [first, ...more]
    .flatMap((c) => c.strategies)
    .toSorted((a, b) => order.indexOf(layout(a.name)) - order.indexOf(layout(b.name)));
  const runs = [first, ...more].flatMap((c) => c.runs);
  const frame = { ...first, strategies };
  const all = comparisonOf(
    frame,
    first.scenarios.flatMap((s) =>
      strategies.flatMap((t) => runs.filter((r) => r.scenario === s.name && r.strategy === t.name)),
    ),
  );
  return {
    ...all,
    kernels: parts.flatMap((c) => c.kernels ?? []),
    leftOut: parts.flatMap((c) => c.leftOut ?? []),
  };
}
