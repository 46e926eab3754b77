/** KTAP version 1, as kernel selftests print it: a test a scenario, a subtest a strategy. */
import { type Comparison, NOT_OBSERVABLE, type Run } from '../../scenarios/run/comparison.ts';
import { visible } from '../print/escape.ts';
import { FATE_WORDS } from '../print/words.ts';

/** For kselftest tooling. Passing means that what was claimed was seen, not that the VM lived. */
export function renderKtap(c: Comparison): string {
  const lines = ['KTAP version 1', `1..${c.scenarios.length}`];
  c.scenarios.forEach((s, i) => {
    const runs = c.runs.filter((r) => r.scenario === s.name);
    lines.push('  KTAP version 1', `  1..${runs.length}`);
    runs.forEach((r, k) => {
      lines.push(...subtest(r, k + 1));
    });
    const claimed = runs.filter(checked);
    lines.push(result(claimed.every(holds), i + 1, s.name, claimed.length === 0));
  });
  return `${lines.join('\n')}\n`;
}

/** Something was claimed of it that could be looked at: silence passes nothing. */
const checked = (r: Run): boolean => r.claims.some((x) => x.holds !== NOT_OBSERVABLE);

const holds = (r: Run): boolean => r.claims.every((x) => x.holds !== false);

function subtest(r: Run, n: number): string[] {
  const broken = r.claims.filter((x) => x.holds === false);
  return [
    `  # ${visible(r.strategy)}: ${FATE_WORDS[r.fate].word}; ${visible(r.detail)}`,
    ...broken.map((x) => `  # broken: ${visible(x.claim)}; seen: ${visible(x.seen ?? 'something else')}`),
    `  ${result(holds(r), n, r.strategy, !checked(r))}`,
  ];
}

/** A result line; `#` starts a directive in KTAP, so a name must not hold one. */
function result(ok: boolean, n: number, name: string, skip: boolean): string {
  const safe = visible(name).replaceAll('#', '\\u{23}');
  return `${ok ? 'ok' : 'not ok'} ${n} ${safe}${skip ? ' # SKIP nothing is claimed' : ''}`;
}
