/** Ablation and crosses: a strategy with patches added or left out. */
import type { Patch } from '../engine/policy.ts';
import type { Strategy } from './strategy.ts';

/** Either the strategy asked for, or one sentence that says why there is none. */
export type WithPatches = { readonly strategy: Strategy } | { readonly error: string };

/**
 * The strategy without the patches named in `without` and with those in `add` at the end of its series (one
 * that is there already stays where it is). The name says what changed, `v5+reexecute-writable-pfn`, so that
 * claims made for the strategy as it is are not held against the cross.
 */
export function withPatches(
  strategy: Strategy,
  add: readonly Patch[],
  without: readonly string[],
): WithPatches {
  for (const name of without) {
    if (!strategy.series.some((p) => p.name === name)) {
      return {
        error: `strategy ${strategy.name} has no patch '${name}' to leave out (${seriesOf(strategy)})`,
      };
    }
  }
  const kept = strategy.series.filter((p) => !without.includes(p.name));
  const added: Patch[] = [];
  for (const patch of add) {
    if (![...kept, ...added].some((p) => p.name === patch.name)) added.push(patch);
  }
  const marks = [...without.map((n) => `-${n}`), ...added.map((p) => `+${p.name}`)];
  if (marks.length === 0) return { strategy };
  const cover = `${strategy.name} ${marks.join(' ')}: ${strategy.cover}`;
  const cross = { of: strategy.name, added: added.map((p) => p.name), leftOut: [...without] };
  const name = strategy.name + marks.join('');
  return { strategy: { ...strategy, name, cover, series: [...kept, ...added], cross } };
}

function seriesOf(strategy: Strategy): string {
  if (strategy.series.length === 0) return 'its series is empty';
  return `its series: ${strategy.series.map((p) => p.name).join(', ')}`;
}
