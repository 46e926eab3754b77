/** A user's own strategy or scenario: loaded, and asked everything that can be asked before anything runs. */
import type { Patch } from '../../engine/policy.ts';
import { type Checked, checkScenario, checkStrategy } from '../../scenarios/language/modules.ts';
import { suggestion } from '../../scenarios/language/nearest.ts';
import type { Scenario } from '../../scenarios/language/scenario.ts';
import type { Strategy } from '../../strategies/strategy.ts';
import { kindAndLine, UsageError } from '../io.ts';
import { loadModule } from './load-module.ts';
import { checkPatch, checkSeries } from './user-patch.ts';

/** A thing with a name that comes along: a user's own needs another. */
type Named = { readonly name: string };

/** The scenario in a module; `ours` are those that come along. */
export async function loadScenario(path: string, cwd: string, ours: readonly Named[]): Promise<Scenario> {
  const where = `--scenario ${path}`;
  const value = await loadModule('--scenario', path, cwd, 'scenario');
  return guarded(where, () => {
    const scenario = unwrap(checkScenario(value, where));
    ownName('scenario', scenario, ours, where);
    return scenario;
  });
}

/** The strategy in a module; its series may name patches that come along. */
export async function loadStrategy(
  path: string,
  cwd: string,
  patches: readonly Patch[],
  ours: readonly Named[],
): Promise<Strategy> {
  const where = `--strategy ${path}`;
  const value = await loadModule('--strategy', path, cwd, 'strategy');
  return guarded(where, () => {
    const strategy = unwrap(checkStrategy(named(value, patches, where), where));
    ownName('strategy', strategy, ours, where);
    for (const patch of strategy.series) {
      if (patches.includes(patch)) continue;
      ownName('patch', patch, patches, where);
      checkPatch(patch, where);
    }
    checkSeries(strategy.series, where);
    return strategy;
  });
}

/** What reading a module's object throws (a getter, a proxy) is the module's mistake. */
function guarded<T>(where: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`${where}: reading what it exports failed: ${kindAndLine(error)}`);
  }
}

/** Claims, reports and `--with` go by the name, so that two things must not share one. */
function ownName(what: string, { name }: Named, ours: readonly Named[], where: string): void {
  if (!ours.some((o) => o.name === name)) return;
  throw new UsageError(`${where}: there is a ${what} called '${name}' already; choose another name`);
}

function unwrap<T>(checked: Checked<T>): T {
  if ('error' in checked) throw new UsageError(checked.error);
  return checked.value;
}

/** Puts patches in the place of their names. */
function named(value: unknown, patches: readonly Patch[], where: string): unknown {
  if (typeof value !== 'object' || value === null || !('series' in value)) return value;
  if (!Array.isArray(value.series)) return value;
  const series = value.series.map((p: unknown) => (typeof p === 'string' ? find(p, patches, where) : p));
  return { ...value, series };
}

function find(typed: string, patches: readonly Patch[], where: string): Patch {
  const found = patches.find((p) => p.name === typed);
  if (found) return found;
  const names = patches.map((p) => p.name);
  const hint = suggestion(typed, names, 'See them with: compare list');
  throw new UsageError(`${where}: series: no patch is called '${typed}'.${hint}`);
}
