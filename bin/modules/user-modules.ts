/** A user's own strategy or scenario: loaded, and asked everything that can be asked before anything runs. */
import type { Patch } from '../../engine/policy.ts';
import { type Checked, checkScenario, checkStrategy } from '../../scenarios/language/modules.ts';
import type { Scenario } from '../../scenarios/language/scenario.ts';
import type { Strategy } from '../../strategies/strategy.ts';
import { suggestion } from '../input/mistyped.ts';
import { UsageError } from '../io.ts';
import { loadModule } from './load-module.ts';
import { checkPatch, checkSeries } from './user-patch.ts';

/** The scenario in a module. */
export async function loadScenario(path: string, cwd: string): Promise<Scenario> {
  const where = `--scenario ${path}`;
  return unwrap(checkScenario(await loadModule('--scenario', path, cwd, 'scenario'), where));
}

/** The strategy in a module; its series may name patches that come with the program. */
export async function loadStrategy(path: string, cwd: string, patches: readonly Patch[]): Promise<Strategy> {
  const where = `--strategy ${path}`;
  const value = named(await loadModule('--strategy', path, cwd, 'strategy'), patches, where);
  const strategy = unwrap(checkStrategy(value, where));
  for (const patch of strategy.series) checkPatch(patch, where);
  checkSeries(strategy.series, where);
  return strategy;
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
