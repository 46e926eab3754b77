/** `compare gate --self-test`: a gate that lets everything through is worse than none, so it is tried out first. */

import { gateExit, gateResult, judgeExact, judgeInstructions, judgeTimes } from '../../reports/gate/judge.ts';
import { BASELINE_SCHEMA, GateInputError, parseBaseline } from '../../reports/gate/model.ts';
import { DEFAULTS, parseThresholds, type Thresholds } from '../../reports/gate/thresholds.ts';
import type { Strategy } from '../../strategies/index.ts';
import { firstLine } from '../io.ts';
import { measureCounters } from './baseline.ts';
import { entryOf, instructionsPerAccess, whyNoInstructions } from './instructions.ts';
import { type RoundOptions, timeBuilds, whyNoTimes } from './times.ts';

/** One thing tried: what should come of it, and what came. */
export interface Trial {
  readonly says: string;
  /** undefined when it could not be tried here; `seen` says why. */
  readonly passed: boolean | undefined;
  readonly seen: string;
}

/** What a self-test tries beyond the first tiers. */
export interface SelfTestOptions {
  readonly strategy: Strategy;
  readonly instructions: boolean;
  readonly times: boolean;
  /** A/A runs of tier 3; false alarms are counted. */
  readonly aa: number;
  readonly limits: Thresholds;
  readonly ms: number;
  readonly seed: number;
  readonly signal: AbortSignal;
  readonly onStep: (what: string) => void;
}

/** Instructions and time that are planted, as shares of the accesses. */
const PLANTED_INSTRUCTIONS = 0.03;
const PLANTED_TIME = 0.15;

const trial = (says: string, passed: boolean, seen: string): Trial => ({ says, passed, seen });

function refused(says: string, attempt: () => unknown): Trial {
  try {
    attempt();
    return trial(says, false, 'it was accepted');
  } catch (error) {
    return trial(says, error instanceof GateInputError, firstLine(error));
  }
}

/** Tier 1 and broken input: quick, and the same everywhere. */
function quickTrials(strategy: Strategy): readonly Trial[] {
  const cells = measureCounters([strategy]);
  const judge = (after: typeof cells): readonly [0 | 1 | 2, string] => {
    const result = gateResult(judgeExact(1, cells, after), []);
    return [
      gateExit(result),
      result.rows.find((r) => r.verdict !== 'unchanged')?.metric ?? 'nothing differs',
    ];
  };
  const [same, sameSays] = judge(measureCounters([strategy]));
  const [planted, plantedSays] = judge(measureCounters([strategy], 'lookup'));
  const [first = ''] = Object.keys(cells);
  const { [first]: one = {}, ...missing } = cells;
  const { steps = 0, ...renamed } = one;
  const [lost] = judge(missing);
  const [other] = judge({ ...cells, [first]: { ...renamed, 'steps taken': steps } });
  const [nan] = judge({ ...cells, [first]: { ...one, steps: Number.NaN } });
  const empty = gateExit(gateResult([], []));
  const times = { loop: 'x', before: [1, 2], after: [1, 2] };
  const few = gateExit(gateResult(judgeTimes([times], DEFAULTS, 1).rows, []));
  const baseline = { schema: BASELINE_SCHEMA, version: '0', node: '0', fates: cells, counters: cells };
  return [
    trial('tier 1, the same against the same: passes', same === 0, sameSays),
    trial('tier 1, one look-up more a batch: fails', planted === 1, plantedSays),
    trial('a cell is missing: refused', lost === 2, `exit ${lost}`),
    trial('a metric has another name: refused', other === 2, `exit ${other}`),
    trial('a metric is NaN: refused', nan === 2, `exit ${nan}`),
    trial('nothing to compare: refused', empty === 2, `exit ${empty}`),
    trial('too few rounds: refused', few === 2, `exit ${few}`),
    refused('a baseline with an unknown key: refused', () => parseBaseline({ ...baseline, extra: 1 })),
    refused('a baseline without cells: refused', () => parseBaseline({ ...baseline, counters: {} })),
    refused('a baseline that is no JSON object: refused', () => parseBaseline('')),
    refused('a threshold nobody knows: refused', () => parseThresholds({ efect: 0.05 }, [])),
    refused('a loop nobody knows: refused', () =>
      parseThresholds({ loops: { 'rom-wrote': 0.1 } }, ['rom-write']),
    ),
  ];
}

async function instructionTrials(o: SelfTestOptions): Promise<readonly Trial[]> {
  const entry = entryOf();
  const why = await whyNoInstructions(entry);
  if (why !== undefined) return [{ says: 'tier 2: instructions', passed: undefined, seen: why }];
  const counted = async (extra: number): Promise<number> => {
    o.onStep(`tier 2, ${extra === 0 ? 'as it is' : 'slowdown planted'}`);
    return instructionsPerAccess(entry, o.strategy.name, 'rom-write', extra, o.signal);
  };
  const [a, b, c] = [await counted(0), await counted(0), await counted(PLANTED_INSTRUCTIONS)];
  const verdict = (after: number): string =>
    judgeInstructions({ loop: { ir: a } }, { loop: { ir: after } }, o.limits.instructions)[0]?.verdict ?? '';
  const seen = (after: number): string =>
    `${a} and ${after} an access, ${(100 * (after / a - 1)).toFixed(3)} %`;
  return [
    trial('tier 2, the same against the same: unchanged', verdict(b) === 'unchanged', seen(b)),
    trial('tier 2, 3 % more instructions: fails', verdict(c) === 'regression', seen(c)),
  ];
}

async function timeTrials(o: SelfTestOptions): Promise<readonly Trial[]> {
  const build = { entry: entryOf() };
  const why = whyNoTimes(build);
  if (why !== undefined) return [{ says: 'tier 3: wall clock', passed: undefined, seen: why }];
  const rounds = (what: string, seed: number): RoundOptions => ({
    strategy: o.strategy.name,
    limits: o.limits,
    ms: o.ms,
    seed,
    signal: o.signal,
    onRound: (i, n) => o.onStep(`tier 3, ${what}, round ${i + 1} of ${n}`),
  });
  const trials: Trial[] = [];
  if (o.times) {
    const planted = await timeBuilds(
      build,
      { ...build, extra: PLANTED_TIME },
      rounds('slowdown planted', o.seed),
    );
    const found = planted.rows.filter((r) => r.verdict === 'regression');
    const seen = planted.rows.map((r) => `${r.cell} ${r.says || r.verdict}`).join('; ');
    trials.push(
      trial('tier 3, 15 % slower: fails', found.length > 0, `${found.length} loops found; ${seen}`),
    );
  }
  let alarms = 0;
  let done = 0;
  for (; done < o.aa && !o.signal.aborted; done++) {
    const same = await timeBuilds(
      build,
      build,
      rounds(`A/A ${done + 1} of ${o.aa}`, o.seed + 100 * (done + 1)),
    );
    if (same.rows.some((r) => r.verdict === 'regression' || r.verdict === 'improvement')) alarms++;
  }
  if (o.aa > 0) {
    const allowed = Math.max(1, Math.floor(o.aa * 0.02));
    const says = `tier 3, the same against the same ${o.aa} times: at most ${allowed} false alarms`;
    trials.push(trial(says, done === o.aa && alarms <= allowed, `${alarms} in ${done}`));
  }
  return trials;
}

/** Tries all that was asked for, in order of how long it takes. */
export async function selfTest(o: SelfTestOptions): Promise<readonly Trial[]> {
  const trials = [...quickTrials(o.strategy)];
  if (o.instructions) trials.push(...(await instructionTrials(o)));
  if (o.times || o.aa > 0) trials.push(...(await timeTrials(o)));
  return trials;
}
