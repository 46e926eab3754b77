/**
 * A Comparison for tests and for looking at reports: a small selection run by the real engine, and on request with
 * hostile words wherever a user or a guest could put them. Times alone are made up, by a clock of our own.
 */
import { createCoreMachine } from '../engine/core/core-machine.ts';
import type { CostProfile } from '../engine/cost.ts';
import type { Life } from '../engine/observation.ts';
import { SCENARIOS } from '../scenarios/index.ts';
import type { Comparison, Run, ScenarioInfo, StrategyInfo, Timing } from '../scenarios/run/comparison.ts';
import { compare } from '../scenarios/run/runner.ts';
import { STRATEGIES, type Strategy } from '../strategies/index.ts';

/** Text that acts on every medium it could be printed in, if it is let. */
export const HOSTILE =
  '=HYPERLINK("x")</script><img src=x onerror=alert(1)>"\'`|*_\u001b[31m\u202e]]>&amp;--><svg onload=alert(2)>' +
  ' https://x.example/ www.x.example @someone ::error file=a,line=1::b \n::stop-commands::c ##[error]d ##vso[task]\u0000';

/** What is run: rom-write under every strategy, if nothing is said. */
export interface SampleOptions {
  readonly scenarios?: readonly string[];
  /** By name, or one that a test made. */
  readonly strategies?: readonly (string | Strategy)[];
  readonly paging?: 'npt' | 'shadow';
  readonly cost?: CostProfile;
  readonly timing?: boolean;
  /** coexist loses its series and keeps its claims, which then do not hold. */
  readonly broken?: boolean;
}

/** The scenarios and strategies of the project, by name. */
export const ALL_SCENARIOS: readonly string[] = SCENARIOS.map((s) => s.name);
const ALL_STRATEGIES: readonly string[] = STRATEGIES.map((s) => s.name);
/** Scenarios that run in no time and come to every fate but `livelock` and `unsupported`. */
export const SAMPLE_SCENARIOS: readonly string[] = [
  'rom-read',
  'rom-read-cold',
  'rom-write',
  'rom-write-unemulatable',
  'slot-flip',
  'romd-probe',
  'page-tables-in-rom',
  'reexecute-loop',
];

function named<T extends { readonly name: string }>(all: readonly T[], name: string): T {
  const found = all.find((x) => x.name === name);
  if (found === undefined) throw new Error(`the sample has no '${name}'`);
  return found;
}

function strategyOf(given: string | Strategy, broken: boolean): Strategy {
  const strategy = typeof given === 'string' ? named(STRATEGIES, given) : given;
  return broken && strategy.name === 'coexist' ? { ...strategy, series: [] } : strategy;
}

/** Runs once for its effects; the times go up and down a little around a middle that the operations decide. */
async function measure(run: () => void, operations: number, prepare: () => void): Promise<Timing> {
  prepare();
  run();
  const raw = Array.from({ length: 40 }, (_, i) => 90 + (operations % 7) + ((i * 37) % 23) / 2);
  return { nsPerOp: raw.toSorted((a, b) => a - b)[20] ?? 0, mad: 3, samples: raw.length, raw };
}

const made = new Map<string, Promise<Comparison>>();

/** Runs the sample, once for the same options. The Comparison is shared: change a copy. */
export function sampleComparison(options: SampleOptions = {}): Promise<Comparison> {
  const strategies = (options.strategies ?? ALL_STRATEGIES).map((s) =>
    strategyOf(s, options.broken ?? false),
  );
  const key = JSON.stringify({ ...options, strategies: strategies.map((s) => s.name) });
  const old = made.get(key);
  if (old !== undefined) return old;
  const scenarios = options.scenarios ?? ['rom-write'];
  const fresh = compare({
    scenarios: scenarios.map((name) => named(SCENARIOS, name)),
    strategies,
    paging: options.paging ?? 'npt',
    seed: 1,
    params: {},
    version: '0.1.0',
    command: `compare --scenario ${scenarios.join(' ')} --seed 1`,
    createMachine: createCoreMachine,
    ...(options.cost ? { profile: options.cost } : {}),
    ...(options.timing ? { measure } : {}),
  }).then((c): Comparison => ({ ...c, conformance: { stock: { cases: 812, agree: 812 } } }));
  made.set(key, fresh);
  return fresh;
}

/** The Comparison with strategies and scenarios called something else, wherever they are named. */
export function renamed(c: Comparison, names: Readonly<Record<string, string>>): Comparison {
  const to = (name: string): string => names[name] ?? name;
  return {
    ...c,
    strategies: c.strategies.map((s) => ({ ...s, name: to(s.name) })),
    scenarios: c.scenarios.map((s) => ({ ...s, name: to(s.name) })),
    runs: c.runs.map((r) => ({ ...r, scenario: to(r.scenario), strategy: to(r.strategy) })),
  };
}

const hostileLife = (l: Life): Life => ({
  ...l,
  instruction: HOSTILE,
  steps: l.steps.map((s) => ({ ...s, says: HOSTILE })),
});

/**
 * The Comparison with hostile words for whatever users, guests and modules write; the first of its scenarios keeps its
 * name, every other is called so too.
 */
export function hostile(c: Comparison): Comparison {
  const others = c.scenarios.slice(1).map((s) => [s.name, HOSTILE]);
  const scenario = (s: ScenarioInfo): ScenarioInfo => ({ ...s, asks: HOSTILE });
  const strategy = (s: StrategyInfo): StrategyInfo => ({
    ...s,
    cover: HOSTILE,
    source: HOSTILE,
    series: s.series.map((p) => ({ ...p, subject: HOSTILE, source: HOSTILE })),
  });
  const run = (r: Run): Run => ({
    ...r,
    detail: HOSTILE,
    because: HOSTILE,
    claims: r.claims.map((x) => ({
      ...x,
      claim: HOSTILE,
      source: HOSTILE,
      ...(x.holds === false ? { seen: HOSTILE } : {}),
    })),
    predictions: r.predictions.map((p) => ({ ...p, formula: HOSTILE })),
    ...(r.life ? { life: r.life.map(hostileLife) } : {}),
    romWrites: r.romWrites.map((w) => ({ ...w, data: HOSTILE })),
  });
  const words = {
    ...c,
    scenarios: c.scenarios.map(scenario),
    strategies: c.strategies.map(strategy),
    runs: c.runs.map(run),
  };
  return renamed(words, Object.fromEntries(others));
}
