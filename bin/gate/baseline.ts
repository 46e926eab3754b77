/** Tiers 0 and 1 of this build, measured now: fates and claims of all runs, counters of all hot loops. */
import { countLoops, type Plant } from '../../engine/core/batch/counters.ts';
import { createCoreMachine } from '../../engine/core/core-machine.ts';
import { BASELINE_SCHEMA, type Baseline, type Cells, type Metric } from '../../reports/gate/model.ts';
import { claimWord } from '../../reports/print/words.ts';
import type { Scenario } from '../../scenarios/index.ts';
import type { Comparison } from '../../scenarios/run/comparison.ts';
import { compare } from '../../scenarios/run/runner.ts';
import { STRATEGIES, type Strategy } from '../../strategies/index.ts';
import type { Io } from '../io.ts';
import { createProgress } from '../output/progress.ts';
import { version } from '../version.ts';

/** Counters of every hot loop under every strategy. */
export function measureCounters(strategies: readonly Strategy[], plant?: Plant): Cells {
  const cells: Record<string, Readonly<Record<string, Metric>>> = {};
  for (const s of strategies) {
    for (const [op, counters] of countLoops(s, plant)) cells[`${op} / ${s.name}`] = counters;
  }
  return cells;
}

/** Fate, ROM, digest of the guest's end and every claim, of all runs of a Comparison. */
function fatesOf(c: Comparison): Cells {
  return Object.fromEntries(
    c.runs.map((run) => {
      const claims = run.claims.map((x): [string, Metric] => [x.claim, claimWord(x.holds)]);
      return [`${run.scenario} / ${run.strategy}`, { fate: run.fate, ...Object.fromEntries(claims) }];
    }),
  );
}

/** Everything that tiers 0 and 1 compare, tier 0 over these scenarios; undefined when interrupted. */
export async function measureBaseline(scenarios: readonly Scenario[], io: Io): Promise<Baseline | undefined> {
  const line = createProgress(io);
  const comparison = await compare({
    scenarios,
    strategies: STRATEGIES,
    params: {},
    paging: 'npt',
    seed: 1,
    command: 'compare gate',
    version: version(),
    createMachine: createCoreMachine,
    signal: io.signal,
    onProgress: (done) => line.show(`${done.done}/${done.total} ${done.scenario} under ${done.strategy}`),
  });
  line.clear();
  if (comparison.interrupted) return undefined;
  return {
    schema: BASELINE_SCHEMA,
    version: version(),
    node: process.version,
    fates: fatesOf(comparison),
    counters: measureCounters(STRATEGIES),
  };
}
