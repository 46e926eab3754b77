/** A plan made ready where it is run: names looked up, modules loaded, patches applied, everything asked that can be. */
import type { Patch } from '../../engine/policy.ts';
import type { AnyParams, Scenario } from '../../scenarios/index.ts';
import { type Prepared, paramsFor, prepareComparison } from '../../scenarios/run/runner.ts';
import { PATCHES, STRATEGIES, type Strategy, underVmm, VMMS, withPatches } from '../../strategies/index.ts';
import { byName } from '../input/mistyped.ts';
import { kindAndLine, UsageError } from '../io.ts';
import { version } from '../version.ts';
import { isPath, type Plan, type StrategyWord } from './plan.ts';

/** What a plan's words stand for. */
export interface Chosen {
  readonly scenarios: readonly Scenario[];
  readonly strategies: readonly Strategy[];
  /** By scenario. */
  readonly params: ReadonlyMap<string, AnyParams>;
}

/** Looks every name up, loads every path, applies the patches; the first thing wrong ends it. `say` hears what is being done. */
export async function choose(plan: Plan, say: (doing: string) => void = () => {}): Promise<Chosen> {
  const scenarios = await selectScenarios(plan, say);
  const strategies = await selectStrategies(plan, say);
  for (const [kind, chosen] of [
    ['scenario', scenarios],
    ['strategy', strategies],
  ] as const) {
    const names = new Set<string>();
    for (const { name } of chosen) {
      if (names.has(name))
        throw new UsageError(`--${kind}: '${name}' is there twice; give each its own name`);
      names.add(name);
    }
  }
  const resolved = paramsFor(scenarios, plan.params);
  if ('error' in resolved) throw new UsageError(`--param: ${resolved.error}`);
  for (const [i, word] of (plan.scenarios ?? []).entries()) {
    const scenario = scenarios[i];
    if (!isPath(word) || scenario === undefined) continue;
    await tryOut(word, scenario, say, resolved.params.get(scenario.name) ?? {}, strategies, plan);
  }
  return { scenarios, strategies, params: resolved.params };
}

/** A plan ready to be run, here. */
export async function prepare(plan: Plan, say?: (doing: string) => void): Promise<Prepared> {
  const { scenarios, strategies } = await choose(plan, say);
  const [{ createCoreMachine }, measure] = await Promise.all([
    import('../../engine/core/core-machine.ts'),
    plan.timing ? import('./measure.ts') : undefined,
  ]);
  const { params, paging, seed, profile, command } = plan;
  return prepareComparison({
    ...{ scenarios, strategies, params, paging, seed, profile, command },
    version: version(),
    createMachine: createCoreMachine,
    ...(measure ? { measure: measure.createMeasure(scenarios.length * strategies.length) } : {}),
  });
}

async function selectScenarios(plan: Plan, say: (doing: string) => void): Promise<readonly Scenario[]> {
  const { SCENARIOS } = await import('../../scenarios/index.ts');
  if (!plan.scenarios) return SCENARIOS;
  const found: Scenario[] = [];
  for (const word of plan.scenarios) {
    if (!isPath(word)) {
      found.push(byName(word, SCENARIOS, 'scenario'));
      continue;
    }
    const { loadScenario } = await import('../modules/user-modules.ts');
    say(`loading --scenario ${word}`);
    found.push(await loadScenario(word, plan.cwd, SCENARIOS));
  }
  return found;
}

async function selectStrategies(plan: Plan, say: (doing: string) => void): Promise<readonly Strategy[]> {
  const add = plan.with.map((w) => byName(w, PATCHES, 'patch'));
  const without = plan.without.map((w) => byName(w, PATCHES, 'patch').name);
  const both = add.find((p) => without.includes(p.name));
  if (both) throw new UsageError(`--with and --without both name ${both.name}; choose one`);
  const has = (s: Strategy): boolean => without.every((w) => s.series.some((p) => p.name === w));
  // Without --strategy, leaving a patch out is a question about those strategies that have it.
  const words = plan.strategies ?? STRATEGIES.filter(has).map(({ name }) => ({ word: name }));
  if (words.length === 0) throw new UsageError(`--without ${without.join(' ')}: no strategy has that`);
  const found: Strategy[] = [];
  const vmm = plan.vmm === undefined ? undefined : byName(plan.vmm, VMMS, 'VMM');
  for (const word of words) {
    const strategy = patched(await find(word, plan, say), word, add, without);
    found.push(vmm === undefined ? strategy : underVmm(strategy, vmm));
  }
  return found;
}

async function find({ word }: StrategyWord, plan: Plan, say: (doing: string) => void): Promise<Strategy> {
  if (!isPath(word)) return byName(word, STRATEGIES, 'strategy');
  const { loadStrategy } = await import('../modules/user-modules.ts');
  say(`loading --strategy ${word}`);
  return loadStrategy(word, plan.cwd, PATCHES, STRATEGIES);
}

function patched(
  strategy: Strategy,
  word: StrategyWord,
  add: readonly Patch[],
  without: readonly string[],
): Strategy {
  const all = word.without === undefined ? without : [...without, word.without];
  const result = withPatches(strategy, add, all);
  if ('error' in result) throw new UsageError(`--without: ${result.error}`);
  return result.strategy;
}

/** Asks a user's scenario what needs no machine. */
async function tryOut(
  word: string,
  scenario: Scenario,
  say: (doing: string) => void,
  params: Readonly<Record<string, number | string>>,
  strategies: readonly Strategy[],
  { paging, seed }: Plan,
): Promise<void> {
  const { tryScenario } = await import('../../scenarios/run/trial.ts');
  const names = [...STRATEGIES, ...strategies].map((s) => s.name);
  say(`asking --scenario ${word}`);
  let wrong: string | undefined;
  try {
    wrong = tryScenario(scenario, { params, paging, seed, strategies: names });
  } catch (error) {
    wrong = kindAndLine(error);
  }
  if (wrong !== undefined) throw new UsageError(`--scenario ${word}: ${wrong}`);
}
