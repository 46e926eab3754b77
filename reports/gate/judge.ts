/** The tiers' verdicts: pure functions over two measurements. */
import type { Cells, GateResult, GateRow, GateVerdict, Metric, Tier } from './model.ts';
import { bootstrapMedian, holm, median, signedRankP } from './stats.ts';
import { roundsNeeded, type Thresholds } from './thresholds.ts';

/** Nanoseconds an access of one loop: what both builds took, round by round. */
export interface PairedTimes {
  readonly loop: string;
  readonly before: readonly number[];
  readonly after: readonly number[];
}

const show = (m: Metric | undefined): string => (m === undefined ? 'missing' : String(m));

/** Pairs every metric of either side; a metric that one side lacks is invalid. */
function pairUp(
  tier: Tier,
  before: Cells,
  after: Cells,
  judge: (before: Metric, after: Metric, cell: string, metric: string) => readonly [GateVerdict, string],
): GateRow[] {
  const rows: GateRow[] = [];
  for (const cell of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const old = before[cell] ?? {};
    const now = after[cell] ?? {};
    for (const metric of new Set([...Object.keys(old), ...Object.keys(now)])) {
      const a = old[metric];
      const b = now[metric];
      const side = a === undefined ? 'the baseline' : 'this measurement';
      const [verdict, says] =
        a === undefined || b === undefined
          ? (['invalid', `${side} does not have it`] as const)
          : typeof a !== typeof b || Number.isNaN(a) || Number.isNaN(b)
            ? (['invalid', 'not comparable'] as const)
            : judge(a, b, cell, metric);
      rows.push({ tier, cell, metric, verdict, before: show(a), after: show(b), says });
    }
  }
  return rows;
}

/** Tiers 0 and 1: everything has to be the same. A count that fell is an improvement, to be accepted by --update. */
export function judgeExact(tier: 0 | 1, before: Cells, after: Cells): GateRow[] {
  const fewer = (cell: string): boolean => {
    const names = Object.keys(before[cell] ?? {}).filter((m) => typeof before[cell]?.[m] === 'number');
    const change = names.map((m) => Number(after[cell]?.[m]) - Number(before[cell]?.[m]));
    return change.some((c) => c < 0) && change.every((c) => c <= 0);
  };
  return pairUp(tier, before, after, (a, b, cell) => {
    if (a === b) return ['unchanged', ''];
    if (typeof a === 'number' && Number(b) < a) return ['improvement', `fell by ${a - Number(b)}`];
    if (typeof a === 'number') return ['regression', `rose by ${Number(b) - a}`];
    // The digest of fewer steps is another digest.
    return tier === 1 && fewer(cell)
      ? ['improvement', 'less work, so other work']
      : ['regression', 'changed'];
  });
}

/** Tier 2: instructions an access, within a share. */
export function judgeInstructions(before: Cells, after: Cells, limit: number): GateRow[] {
  return pairUp(2, before, after, (a, b) => {
    const change = Number(b) / Number(a) - 1;
    if (!Number.isFinite(change)) return ['invalid', 'not comparable'];
    const says = `${(100 * change).toFixed(2)} %, limit ${(100 * limit).toFixed(2)} %`;
    if (change > limit) return ['regression', says];
    return change < -limit ? ['improvement', says] : ['unchanged', ''];
  });
}

const logRatios = ({ before, after }: PairedTimes): number[] =>
  after.map((x, i) => Math.log(x / (before[i] ?? Number.NaN)));

/** Do other rounds, in reversed order, say the same: a median beyond `reach`, and an interval on the same side of 0? */
function confirms(again: PairedTimes | undefined, reach: number, sign: 1 | -1, seed: number): boolean {
  if (again === undefined) return false;
  const ci = bootstrapMedian(
    logRatios(again).map((x) => sign * x),
    seed,
  );
  return ci.middle > reach && ci.low > 0;
}

/** Tier 3 of one family of loops. A difference is one only if the rounds in reversed order, `again`, confirm it. */
export function judgeTimes(
  times: readonly PairedTimes[],
  limits: Thresholds,
  seed: number,
  again?: readonly PairedTimes[],
): { readonly rows: readonly GateRow[]; readonly power: string } {
  const ratios = times.map(logRatios);
  const slower = holm(ratios.map((r) => signedRankP(r)));
  const faster = holm(ratios.map((r) => signedRankP(r.map((x) => -x))));
  let blind = 0;
  const rows = times.map(({ loop, before, after }, k): GateRow => {
    const r = ratios[k] ?? [];
    const time = (x: readonly number[]): string => `${median(x).toFixed(2)} ns`;
    const row = (verdict: GateVerdict, says: string): GateRow => ({
      tier: 3,
      cell: loop,
      metric: 'ns/op',
      verdict,
      before: time(before),
      after: time(after),
      says,
    });
    if (before.length !== after.length || r.length === 0 || !r.every(Number.isFinite)) {
      return row('invalid', 'missing or unusable times');
    }
    if (r.length < roundsNeeded(limits.alpha, times.length)) {
      return row(
        'insufficient',
        `${r.length} rounds; ${roundsNeeded(limits.alpha, times.length)} are needed`,
      );
    }
    const effect = limits.loops[loop] ?? limits.effect;
    const ci = bootstrapMedian(r, seed + k);
    const percent = (x: number): string => `${(100 * (Math.exp(x) - 1)).toFixed(1)} %`;
    const says = `${percent(ci.middle)} (${percent(ci.low)} to ${percent(ci.high)})`;
    const reach = Math.log(1 + effect);
    blind = Math.max(blind, reach + ci.middle - ci.low);
    const found = (sign: 1 | -1): boolean =>
      again === undefined ||
      confirms(
        again.find((t) => t.loop === loop),
        reach,
        sign,
        seed - k,
      );
    const unconfirmed = `${says}, not seen again in reversed order`;
    if (ci.low > reach && (slower[k] ?? 1) < limits.alpha) {
      return found(1) ? row('regression', says) : row('inconclusive', unconfirmed);
    }
    if (ci.high < -reach && (faster[k] ?? 1) < limits.alpha) {
      return found(-1) ? row('improvement', says) : row('inconclusive', unconfirmed);
    }
    return ci.low > -reach && ci.high < reach ? row('unchanged', says) : row('inconclusive', says);
  });
  const power = `tier 3 could have seen a slowdown of ${(100 * (Math.exp(blind) - 1)).toFixed(1)} % or more`;
  return { rows, power };
}

/** Puts tiers together. */
export function gateResult(rows: readonly GateRow[], power: readonly string[]): GateResult {
  const compared = rows.filter((r) => r.verdict !== 'invalid' && r.verdict !== 'insufficient').length;
  return { rows, compared, expected: rows.length, power };
}

/** 0 passed, 1 a regression, 2 not all that should have been compared could be. */
export function gateExit(result: GateResult): 0 | 1 | 2 {
  if (result.expected === 0 || result.compared < result.expected) return 2;
  return result.rows.some((r) => r.verdict === 'regression') ? 1 : 0;
}
