import { describe, expect, test } from 'vitest';
import { gateAnnotations, gateJunit, gateMarkdown, gateText } from './gate-text.ts';
import {
  gateExit,
  gateResult,
  judgeExact,
  judgeInstructions,
  judgeTimes,
  type PairedTimes,
} from './judge.ts';
import { BASELINE_SCHEMA, GateInputError, type GateResult, parseBaseline } from './model.ts';
import { random } from './stats.ts';
import { DEFAULTS, parseThresholds, roundsNeeded } from './thresholds.ts';

const cells = { 'rom-write / a': { steps: 10, digest: 'x' }, 'cold / a': { steps: 4, digest: 'y' } };
const verdicts = (rows: GateResult['rows']): string[] => rows.map((r) => r.verdict);

describe('exact tiers', () => {
  test('the same is unchanged and passes', () => {
    const result = gateResult(judgeExact(1, cells, cells), []);
    expect(new Set(verdicts(result.rows))).toEqual(new Set(['unchanged']));
    expect(gateExit(result)).toBe(0);
  });

  test('one step more fails, one less is an improvement with its digest', () => {
    const more = judgeExact(1, cells, { ...cells, 'cold / a': { steps: 5, digest: 'z' } });
    expect(verdicts(more).filter((v) => v === 'regression')).toHaveLength(2);
    expect(gateExit(gateResult(more, []))).toBe(1);
    const less = judgeExact(1, cells, { ...cells, 'cold / a': { steps: 3, digest: 'z' } });
    expect(verdicts(less).filter((v) => v === 'improvement')).toHaveLength(2);
    expect(gateExit(gateResult(less, []))).toBe(0);
  });

  test('another digest is forgiven only where some count fell and none rose', () => {
    const was = { a: { steps: 10, exits: 5, digest: 'x' } };
    const now = (steps: number, exits: number): string[] =>
      verdicts(judgeExact(1, was, { a: { steps, exits, digest: 'y' } }));
    expect(now(10, 4)).toEqual(['unchanged', 'improvement', 'improvement']);
    expect(now(10, 5)).toEqual(['unchanged', 'unchanged', 'regression']);
    expect(now(9, 6)).toEqual(['improvement', 'regression', 'regression']);
    expect(now(11, 4)).toEqual(['regression', 'improvement', 'regression']);
    // Fates have digests too, and there nothing is forgiven.
    expect(verdicts(judgeExact(0, was, { a: { steps: 9, exits: 5, digest: 'y' } }))).toContain('regression');
  });

  test('a fate that flips fails whatever it was', () => {
    const rows = judgeExact(0, { run: { fate: 'efault' } }, { run: { fate: 'ok' } });
    expect(verdicts(rows)).toEqual(['regression']);
  });

  test.each([
    ['a cell is gone', { 'cold / a': cells['cold / a'] }],
    ['a cell is new', { ...cells, 'remap / a': { steps: 1 } }],
    ['a metric has another name', { ...cells, 'cold / a': { step: 4, digest: 'y' } }],
    ['a metric is not a number', { ...cells, 'cold / a': { steps: Number.NaN, digest: 'y' } }],
    ['a metric is another kind of thing', { ...cells, 'cold / a': { steps: '4', digest: 'y' } }],
  ])('%s: refused', (_, after) => {
    expect(gateExit(gateResult(judgeExact(1, cells, after), []))).toBe(2);
  });

  test('nothing to compare: refused', () => expect(gateExit(gateResult([], []))).toBe(2));
});

test('instructions may grow by the limit and no more', () => {
  const at = (n: number) => judgeInstructions({ a: { ir: 100 } }, { a: { ir: n } }, 0.01)[0]?.verdict;
  expect([at(100), at(100.9), at(103), at(97), at(Number.NaN)]).toEqual([
    'unchanged',
    'unchanged',
    'regression',
    'improvement',
    'invalid',
  ]);
});

/** Rounds of a machine whose clock wanders, with a slowdown planted. */
function rounds(seed: number, slower: number, n = 12): PairedTimes[] {
  const next = random(seed);
  const noise = (): number => 1 + 0.04 * (next() + next() - 1);
  return ['rom-write', 'cold'].map((loop) => {
    const clock = Array.from({ length: n }, () => (next() < 0.5 ? 10 : 17));
    return {
      loop,
      before: clock.map((c) => c * noise()),
      after: clock.map((c) => c * noise() * (1 + slower)),
    };
  });
}

describe('times', () => {
  test('15 % slower is found, and so is 15 % faster', () => {
    expect(verdicts(judgeTimes(rounds(1, 0.15), DEFAULTS, 1).rows)).toEqual(['regression', 'regression']);
    expect(verdicts(judgeTimes(rounds(1, -0.15), DEFAULTS, 1).rows)).toEqual(['improvement', 'improvement']);
  });

  test('less than the effect of interest is no finding', () => {
    for (let seed = 0; seed < 20; seed++) {
      const found = verdicts(judgeTimes(rounds(seed, 0.02), DEFAULTS, seed).rows);
      expect(found).not.toContain('regression');
    }
  });

  test('the same against the same gives no alarm in 200 gates', () => {
    for (let seed = 0; seed < 200; seed++) {
      const found = verdicts(judgeTimes(rounds(seed, 0), DEFAULTS, seed).rows);
      expect(found).not.toContain('improvement');
      expect(found).not.toContain('regression');
    }
  });

  test('without a smallest effect of interest, alarms are as rare as alpha says', () => {
    const limits = { ...DEFAULTS, effect: 1e-9 };
    const alarms = Array.from(
      { length: 200 },
      (_, seed) => judgeTimes(rounds(seed, 0), limits, seed).rows,
    ).filter((rows) => rows.some((r) => r.verdict === 'regression'));
    // Twice what is expected at most.
    expect(alarms.length).toBeLessThanOrEqual(2 * 200 * limits.alpha);
  });

  test('what rounds in reversed order do not show is inconclusive', () => {
    const once = judgeTimes(rounds(1, 0.15), DEFAULTS, 1, rounds(2, 0)).rows;
    expect(verdicts(once)).toEqual(['inconclusive', 'inconclusive']);
    const twice = judgeTimes(rounds(1, 0.15), DEFAULTS, 1, rounds(2, 0.15)).rows;
    expect(verdicts(twice)).toEqual(['regression', 'regression']);
  });

  test('rounds in reversed order have to show as much, and to be of one mind about it', () => {
    const confirmed = (again: PairedTimes[]): string[] =>
      verdicts(judgeTimes(rounds(1, 0.15), DEFAULTS, 1, again).rows);
    // Slower beyond doubt, but by less than the effect of interest.
    expect(confirmed(rounds(2, 0.03, 40))).toEqual(['inconclusive', 'inconclusive']);
    // Much slower in the middle, but half of the rounds say otherwise.
    const torn = rounds(3, 0).map((r) => ({ ...r, after: r.before.map((x, i) => x * (i % 2 ? 1.3 : 0.9)) }));
    expect(confirmed(torn)).toEqual(['inconclusive', 'inconclusive']);
    // The loop was not measured again.
    expect(confirmed(rounds(2, 0.15).slice(0, 1))).toEqual(['regression', 'inconclusive']);
    expect(verdicts(judgeTimes(rounds(1, -0.15), DEFAULTS, 1, rounds(2, 0.15)).rows)).toEqual([
      'inconclusive',
      'inconclusive',
    ]);
  });

  test('too few rounds, or rounds without a time, are refused', () => {
    expect(roundsNeeded(0.01, 7)).toBe(10);
    expect(verdicts(judgeTimes(rounds(1, 0, 5), DEFAULTS, 1).rows)).toEqual(['insufficient', 'insufficient']);
    const broken = rounds(1, 0).map((r) => ({ ...r, after: r.after.with(3, Number.NaN) }));
    expect(verdicts(judgeTimes(broken, DEFAULTS, 1).rows)).toEqual(['invalid', 'invalid']);
  });

  test('says what it could have seen', () => {
    expect(judgeTimes(rounds(1, 0), DEFAULTS, 1).power).toMatch(/a slowdown of \d+\.\d %/);
  });
});

describe('files', () => {
  const good = { schema: BASELINE_SCHEMA, version: '1', node: 'v20', fates: cells, counters: cells };

  test('a baseline is read back', () => expect(parseBaseline(good)).toEqual(good));

  test.each([
    ['no object', []],
    ['another schema', { ...good, schema: 'x' }],
    ['an unknown key', { ...good, counter: {} }],
    ['no cells', { ...good, fates: {} }],
    ['an empty cell', { ...good, fates: { a: {} } }],
    ['null for a number', { ...good, counters: { a: { steps: null } } }],
  ])('a baseline with %s is refused', (_, value) => {
    expect(() => parseBaseline(value)).toThrow(GateInputError);
  });

  test('thresholds fill up with the defaults and refuse what they do not know', () => {
    expect(parseThresholds({ effect: 0.1, loops: { cold: 0.2 } }, ['cold'])).toEqual({
      ...DEFAULTS,
      effect: 0.1,
      loops: { cold: 0.2 },
    });
    for (const bad of [
      null,
      { efect: 1 },
      { effect: 0 },
      { effect: '5 %' },
      { rounds: 1.5 },
      { loops: { x: 1 } },
    ]) {
      expect(() => parseThresholds(bad, ['cold'])).toThrow(GateInputError);
    }
  });
});

test('every form tells the same', () => {
  const after = { ...cells, 'cold / a': { steps: 5, digest: 'y' } };
  const result = gateResult(judgeExact(1, cells, after), ['sees all']);
  expect(gateText(result)).toContain('tier 1 regression: cold / a: steps: 4 -> 5 (rose by 1)');
  expect(gateText(result)).toContain('gate failed: 1 regression; compared 4 of 4');
  const same = gateResult(judgeExact(1, cells, cells), []);
  expect(gateText(same)).toContain('gate passed; compared 4 of 4');
  const both = gateResult(judgeExact(1, cells, { 'cold / a': { steps: 5, digest: 'y' } }), []);
  expect(gateText(both)).toContain('gate refused: 1 regression, 2 invalid; compared 2 of 4');
  expect(gateAnnotations(same)).toBe('');
  expect(gateMarkdown(result)).toContain('| regression | 1 | cold / a | steps | 4 | 5 | rose by 1 |');
  expect(gateAnnotations(result)).toBe('::error title=regression%3A cold / a::steps: 4 -> 5 rose by 1\n');
  expect(gateJunit(result)).toContain(
    '<failure type="PerformanceRegression" message="4 -&gt; 5 rose by 1"/>',
  );
  expect(gateJunit(result)).toContain('tests="4" failures="1" errors="0"');
});
