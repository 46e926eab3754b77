/**
 * The verdict of a Comparison, as data and in words: who kept the VM alive, who did not and how, and whether
 * what was claimed beforehand came out.
 */
import {
  brokenClaims,
  type Comparison,
  type Fate,
  NOT_OBSERVABLE,
  type Run,
  type StrategyInfo,
} from '../scenarios/run/comparison.ts';
import { count, FATE_WORDS, list, plural, totalDecisions } from './print/words.ts';

/** How one strategy came out over all its runs. */
export interface Standing {
  readonly strategy: StrategyInfo;
  readonly runs: number;
  readonly ok: number;
  /** Scenarios by fate, only those that are not ok. */
  readonly failed: ReadonlyMap<Fate, readonly string[]>;
  /** Decisions of the kernel that its series rewrites, counted once each. */
  readonly decisions: number;
}

/** The verdict as data. */
export interface Summary {
  readonly standings: readonly Standing[];
  readonly cells: number;
  readonly ran: number;
  readonly claims: number;
  readonly broken: number;
  /** Claims about what the engine cannot observe: neither held nor broken. */
  readonly notObservable: number;
  /** Scenarios in which no two strategies differ in fate, exits or ROM: they separate nothing. */
  readonly alike: readonly string[];
  /** Scenarios in which no decision of the seam was ever taken. */
  readonly idle: readonly string[];
}

/** Sums a Comparison up. */
export function summarize(c: Comparison): Summary {
  const standings = c.strategies.map((strategy) => standing(c, strategy));
  return {
    standings,
    cells: c.scenarios.length * c.strategies.length,
    ran: c.runs.length,
    claims: c.runs.reduce((n, r) => n + r.claims.length, 0),
    broken: brokenClaims(c).length,
    notObservable: c.runs.flatMap((r) => r.claims).filter((x) => x.holds === NOT_OBSERVABLE).length,
    alike: c.strategies.length < 2 ? [] : scenariosWhere(c, (runs) => new Set(runs.map(outcome)).size === 1),
    idle: scenariosWhere(c, (runs) => runs.every((r) => totalDecisions(r) === 0)),
  };
}

function scenariosWhere(c: Comparison, test: (runs: readonly Run[]) => boolean): string[] {
  return c.scenarios
    .map((s) => s.name)
    .filter((name) => {
      const runs = c.runs.filter((r) => r.scenario === name);
      return runs.length > 0 && test(runs);
    });
}

const outcome = (r: Run): string => JSON.stringify([r.fate, r.exits, r.romIntact]);

function standing(c: Comparison, strategy: StrategyInfo): Standing {
  const runs = c.runs.filter((r) => r.strategy === strategy.name);
  const failed = new Map<Fate, string[]>();
  for (const run of runs) {
    if (run.fate !== 'ok') failed.set(run.fate, [...(failed.get(run.fate) ?? []), run.scenario]);
  }
  const ok = runs.filter((r) => r.fate === 'ok').length;
  const decisions = new Set(strategy.series.flatMap((p) => p.decisions)).size;
  return { strategy, runs: runs.length, ok, failed, decisions };
}

/** The verdict in plain sentences, the most important first. */
export function verdict(c: Comparison, summary = summarize(c)): string[] {
  return [
    ...survivors(c, summary),
    crashes(c, summary),
    claimsSentence(summary),
    ...(c.interrupted || summary.ran < summary.cells
      ? [
          `${count(summary.ran)} of ${count(summary.cells)} cells were run${c.interrupted ? ': interrupted' : ''}.`,
        ]
      : []),
    ...(summary.alike.length > 0 ? [`No strategy differs from another in ${list(summary.alike)}.`] : []),
    ...(summary.idle.length > 0 ? [`No decision of the seam was taken in ${list(summary.idle)}.`] : []),
  ].filter((s) => s !== '');
}

function survivors(c: Comparison, { standings }: Summary): string[] {
  const tried = standings.filter((s) => s.runs > 0);
  const whole = tried.filter((s) => s.ok === s.runs).map((s) => s.strategy.name);
  const n = c.scenarios.length;
  const several = `${n === 2 ? 'both' : `all ${count(n)}`} scenarios`;
  const where = n === 1 ? (c.scenarios[0]?.name ?? '') : several;
  if (tried.length === 0) return ['Nothing was run.'];
  if (whole.length === 0) {
    const most = Math.max(...tried.map((s) => s.ok));
    const equal = tried.filter((s) => s.ok === most);
    const nearest = leastTrouble(c, equal).map((s) => s.strategy.name);
    const rule = nearest.length < equal.length ? ', and then the fewest endless loops and exits' : '';
    const next =
      n === 1 || most === 0 ? [] : [`Nearest, with ${count(most)} of ${count(n)}${rule}: ${list(nearest)}.`];
    return [`No strategy of ${count(tried.length)} comes through ${where} with VM and ROM whole.`, ...next];
  }
  const verb = whole.length === 1 ? 'comes' : 'come';
  const strategies = plural(tried.length, 'strategy', 'strategies');
  return [
    `${count(whole.length)} of ${strategies} ${verb} through ${where} with VM and ROM whole: ${list(whole)}.`,
  ];
}

/** Of equals in survival, those with the fewest endless loops, and of these those with the fewest exits. */
function leastTrouble(c: Comparison, equal: readonly Standing[]): readonly Standing[] {
  const loops = (s: Standing): number => s.failed.get('livelock')?.length ?? 0;
  const exits = (s: Standing): number =>
    c.runs
      .filter((r) => r.strategy === s.strategy.name && r.fate === 'ok')
      .reduce((sum, r) => sum + Object.values(r.exits).reduce((a, b) => a + b, 0), 0);
  const fewest = (of: (s: Standing) => number, among: readonly Standing[]): readonly Standing[] => {
    const least = Math.min(...among.map(of));
    return among.filter((s) => of(s) === least);
  };
  return fewest(exits, fewest(loops, equal));
}

/** So many strategies are named for each fate; the matrix has the others. */
const NAMED = 4;

function crashes(c: Comparison, { standings }: Summary): string {
  const many = c.scenarios.length > 1;
  const parts = (Object.keys(FATE_WORDS) as Fate[]).flatMap((fate) => {
    const hit = standings
      .filter((s) => s.failed.has(fate))
      .map((s) => ({ name: s.strategy.name, times: s.failed.get(fate)?.length ?? 0 }))
      .toSorted((a, b) => b.times - a.times);
    if (fate === 'ok' || hit.length === 0) return [];
    const names = hit.slice(0, NAMED).map((h) => h.name + (many ? ` (${h.times})` : ''));
    const more = hit.length > NAMED ? [`${count(hit.length - NAMED)} more`] : [];
    return [`${FATE_WORDS[fate].word}: ${list([...names, ...more])}`];
  });
  return parts.length === 0
    ? ''
    : `${many ? 'Other fates (in how many scenarios)' : 'Other fates'}: ${parts.join('; ')}.`;
}

/** What became of the claims written beside the scenarios. */
export function claimsSentence({ claims, broken, notObservable }: Summary): string {
  const looked = claims - notObservable;
  const unseen =
    notObservable === 0 ? '' : ` ${plural(notObservable, 'claim')} could not be observed on this engine.`;
  if (claims === 0) return 'Nothing was claimed beforehand, so nothing was checked.';
  if (looked === 0) return `Nothing that was claimed could be looked at, so nothing was checked.${unseen}`;
  if (broken === 0)
    return `${looked === 1 ? 'The one claim holds.' : `All ${count(looked)} claims hold.`}${unseen}`;
  return `${count(broken)} of ${plural(looked, 'claim')} ${broken === 1 ? 'is' : 'are'} broken.${unseen}`;
}
