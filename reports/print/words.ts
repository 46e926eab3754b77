/**
 * The vocabulary of all reports: one word, one icon and one explanation for each fate, exit and fault, and
 * how numbers are written. A report never invents its own names for these.
 */
import { fnv1a64 } from '../../engine/fnv.ts';
import type { FaultKind } from '../../engine/observation.ts';
import { STEP_TABLE, type StepGroup, stepNamed } from '../../engine/steps.ts';
import type { ClaimResult, Comparison, Fate, Run, Timing } from '../../scenarios/run/comparison.ts';

/** How a fate is shown. */
export interface FateWords {
  /** One character beside the word, never alone. */
  readonly icon: string;
  readonly word: string;
  /** At most three letters, for a matrix in a narrow terminal. */
  readonly code: string;
  /** What it means, for a legend. */
  readonly says: string;
  /** The VM is gone, by KVM's doing. */
  readonly crash: boolean;
}

/** Every fate, in words. */
export const FATE_WORDS: Readonly<Record<Fate, FateWords>> = {
  ok: { icon: '✓', word: 'ok', code: 'ok', crash: false, says: 'guest finished, ROM holds what it should' },
  efault: { icon: '✗', word: 'EFAULT', code: 'EFA', crash: true, says: 'KVM_RUN gave -EFAULT: VM crashed' },
  'internal-error': {
    icon: '!',
    word: 'internal error',
    code: 'INT',
    crash: true,
    says: 'KVM_EXIT_INTERNAL_ERROR: VM crashed',
  },
  livelock: {
    icon: '∞',
    word: 'livelock',
    code: 'LIV',
    crash: false,
    says: 'guest makes no progress, and never will',
  },
  'gave-up': {
    icon: '…',
    word: 'gave up',
    code: 'GVU',
    crash: false,
    says: 'still running when a bound was reached',
  },
  'kernel-panic': {
    icon: '☠',
    word: 'kernel panic',
    code: 'PAN',
    crash: true,
    says: 'the kernel under test died',
  },
  hung: {
    icon: '⧗',
    word: 'hung',
    code: 'HNG',
    crash: true,
    says: 'the kernel under test did not come back',
  },
  unsupported: {
    icon: '?',
    word: 'unsupported',
    code: '???',
    crash: false,
    says: 'the guest used an instruction that Faultline does not know: no verdict',
  },
  shutdown: { icon: '▼', word: 'shutdown', code: 'SHU', crash: true, says: 'triple fault: VM shut down' },
  refused: { icon: '–', word: 'refused', code: 'REF', crash: false, says: 'a call of the VMM was refused' },
  'timed-out': {
    icon: '⧖',
    word: 'timed out',
    code: 'T/O',
    crash: false,
    says: 'ended at its deadline: no verdict',
  },
  'out-of-memory': {
    icon: '▤',
    word: 'out of memory',
    code: 'OOM',
    crash: false,
    says: 'ended for the memory it took: no verdict',
  },
  corrupt: { icon: '≠', word: 'corrupt', code: 'COR', crash: false, says: 'ROM changed, or was read wrong' },
};

/** Faults as column heads. */
export const FAULT_HEADS: Readonly<Record<FaultKind, string>> = {
  fixed: 'fixed',
  emulate: 'emul.',
  retry: 'retry',
  mmio: 'mmio',
  async: 'async',
  error: 'error',
  guest: 'guest',
};

/** The group a step belongs to; `other` for a step this program does not know. */
export function stepGroup(step: string): StepGroup | 'other' {
  const known = stepNamed(step);
  return known === undefined ? 'other' : STEP_TABLE[known].group;
}

/** Steps that were done but that the cost profile has no price for: what a prediction leaves out. */
export function unpricedSteps(runs: readonly Run[]): string[] {
  const unpriced = runs.flatMap((r) =>
    Object.entries(r.steps ?? {})
      .filter(([s, n]) => r.cost && n > 0 && r.cost.byStep[s] === undefined)
      .map(([s]) => s),
  );
  return [...new Set(unpriced)].toSorted();
}

/** A whole number with commas: 32,744. */
export function count(n: number): string {
  if (!Number.isFinite(n)) return '?';
  return String(n).replace(/^(-?\d+)/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, ','));
}

/** A number per operation: exact when it is short, else three digits after the point at most. */
export function perOperation(n: number): string {
  if (!Number.isFinite(n)) return '?';
  const size = Math.abs(n);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  return count(Number(n.toFixed(digits)));
}

/**
 * Does "per operation" mean anything for this run? A VM that died on the way, or loops until somebody's patience
 * ends, has spent its work on that.
 */
export const hasOperations = (run: Run): boolean =>
  run.operations > 0 && (run.fate === 'ok' || run.fate === 'corrupt');

/** Steps per operation; a dash where there is no such thing, or the engine does not see steps. */
export const stepsPerOperation = (run: Run): string =>
  hasOperations(run) && run.stepsPerOperation !== undefined ? perOperation(run.stepsPerOperation) : '–';

/** `a store`, `an access`. */
export const withArticle = (noun: string): string => `${/^[aeiou]/i.test(noun) ? 'an' : 'a'} ${noun}`;

/** Did the VM crash, that is: did KVM end it? */
export const crashed = (run: Run): boolean => FATE_WORDS[run.fate].crash;

/** `1 claim`, `2 claims`. */
export const plural = (n: number, noun: string, nouns = `${noun}s`): string =>
  `${count(n)} ${n === 1 ? noun : nouns}`;

/** `a, b and c`. */
export function list(words: readonly string[]): string {
  if (words.length < 2) return words.join('');
  return `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

const total = (of: Readonly<Record<string, number>> | undefined): number | undefined =>
  of === undefined ? undefined : Object.values(of).reduce((a, b) => a + b, 0);

/** Faults of all kinds; undefined where the engine does not see them. */
export const totalFaults = (run: Run): number | undefined => total(run.faults);

/** How many times the series, or the base under it, was asked to decide; undefined where nobody can tell. */
export const totalDecisions = (run: Run): number | undefined => total(run.decisions);

/** `holds`, `broken` or `not observable`. */
export const claimWord = (holds: ClaimResult['holds']): string =>
  typeof holds === 'string' ? holds : holds ? 'holds' : 'broken';

/** A number, or the dash of what was not observed. */
export const countOrDash = (n: number | undefined): string => (n === undefined ? '–' : count(n));

/** What the dashes of these runs mean, or nothing where everything was observed. */
export function notObserved(runs: readonly Run[]): string | undefined {
  const engines = [...new Set(runs.filter((r) => r.steps === undefined).map((r) => r.engine))];
  if (engines.length === 0) return undefined;
  return `–: not observable on engine ${list(engines)}, which sees exits, registers and memory only.`;
}

/** FNV-1a 64 over the digests of all runs in order: one word for the whole comparison. */
export function comparisonDigest(c: Comparison): string {
  const text = c.runs.map((run) => `${run.scenario}\0${run.strategy}\0${run.digest}\n`).join('');
  return fnv1a64(new TextEncoder().encode(text));
}

/** A median with an interval that holds it in 95 of 100 cases, whatever the distribution. */
export interface Interval {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  /** Quartiles of the samples. */
  readonly q1: number;
  readonly q3: number;
}

/** Median and its interval from order statistics (the sign test turned round): no assumption, no randomness. */
export function medianInterval(timing: Timing): Interval {
  const sorted = timing.raw.filter(Number.isFinite).toSorted((a, b) => a - b);
  const n = sorted.length;
  const at = (i: number): number => sorted[Math.min(n - 1, Math.max(0, i))] ?? timing.nsPerOp;
  const reach = Math.ceil(0.98 * Math.sqrt(n));
  return {
    median: timing.nsPerOp,
    low: at(Math.floor(n / 2) - reach),
    high: at(Math.ceil(n / 2) + reach - 1),
    q1: at(Math.floor((n - 1) / 4)),
    q3: at(Math.ceil((3 * (n - 1)) / 4)),
  };
}
