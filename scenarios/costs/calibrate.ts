/**
 * Calibration: which prices of steps explain what probes measured? Non-negative least squares on relative
 * errors, so that a cheap path counts as much as a dear one.
 */
import { max, median } from 'd3-array';
import { fcnnlsVector } from 'ml-fcnnls';
import { type CostProfile, predictProbe } from '../../engine/cost.ts';
import type { StepCounts } from '../../engine/observation.ts';
import { PRICED_STEPS, type Step } from '../../engine/steps.ts';

/** One probe under one kernel: what it took, and the steps it was. */
export interface Measurement {
  readonly kernel: string;
  readonly id: string;
  readonly measured: number;
  /** The recorder's doubt: a disk's timing shows in it. */
  readonly noisy: boolean;
  readonly steps: StepCounts;
}

/** A measurement beside its prediction. */
export interface Residual {
  readonly kernel: string;
  readonly id: string;
  readonly measured: number;
  readonly predicted: number;
  readonly noisy: boolean;
  /** (predicted − measured) / measured. */
  readonly error: number;
}

/** A fitted profile and how good it is. */
export interface Calibration {
  readonly profile: CostProfile;
  /** Of every measurement, in the order given. */
  readonly residuals: readonly Residual[];
  /** Each probe predicted by a profile fitted without it, under whatever kernel. */
  readonly leaveOneOut: readonly Residual[];
  /** What a reader should know: steps that no probe tells apart, measurements that hardly count. */
  readonly notes: readonly string[];
}

/** What the profile is to be called, and what measuring added. */
export type ProfileHead = Pick<CostProfile, 'name' | 'kernel' | 'unit' | 'overhead'>;

/** A noisy measurement counts this much of a good one… */
const NOISY_WEIGHT = 0.03;
/** …and less still the further off it is beyond this relative error. */
const NOISY_BOUND = 0.05;
/** Rounds of fitting and weighing again. */
const ROUNDS = 6;
/**
 * Pulls every step's share of the probes gently to 0. It decides only what the probes do not: a sum of steps that
 * always come together is shared out equally.
 */
const RIDGE = 1e-4;
/** A step is told apart if this much of its column is left when the other steps have explained what they can. */
const APART = 1e-3;

/** Fits a profile, or says in one sentence why it cannot. */
export function calibrate(
  measurements: readonly Measurement[],
  head: ProfileHead,
): Calibration | { readonly error: string } {
  const steps = stepsIn(measurements);
  const kinds = new Set(measurements.map((m) => JSON.stringify(m.steps))).size;
  if (kinds < steps.length || steps.length === 0) {
    return { error: `${kinds} different probes are too few for prices of ${steps.length} steps` };
  }
  const fit = fitProfile(measurements, head);
  const residuals = residualsOf(fit.profile, measurements);
  const ids = [...new Set(measurements.map((m) => m.id))];
  const leaveOneOut = ids.flatMap((id) => {
    const without = fitProfile(
      measurements.filter((m) => m.id !== id),
      head,
    );
    return residualsOf(
      without.profile,
      measurements.filter((m) => m.id === id),
    );
  });
  const entangled = entangledSteps(measurements, steps);
  const notes = [
    ...(entangled.length > 0
      ? [
          `no probe tells these steps apart, so what they cost together is shared out: ${entangled.join(', ')}`,
        ]
      : []),
    ...fit.doubted.map((m) => `${m.kernel} ${m.id} hardly counts: marked noisy, and far from the others`),
  ];
  return { profile: fit.profile, residuals, leaveOneOut, notes };
}

/** Predictions of measurements by a profile. */
export function residualsOf(profile: CostProfile, measurements: readonly Measurement[]): readonly Residual[] {
  return measurements.map(({ kernel, id, measured, noisy, steps }) => {
    const predicted = predictProbe(profile, steps);
    return { kernel, id, measured, predicted, noisy, error: (predicted - measured) / measured };
  });
}

/** Steps that occur at all, in their own order. */
function stepsIn(measurements: readonly Measurement[]): readonly Step[] {
  return PRICED_STEPS.filter((s) => measurements.some((m) => (m.steps[s] ?? 0) !== 0));
}

interface Fit {
  readonly profile: CostProfile;
  /** Noisy measurements that lost most of their little weight. */
  readonly doubted: readonly Measurement[];
}

function fitProfile(all: readonly Measurement[], head: ProfileHead): Fit {
  // A probe without steps says nothing about prices.
  const measurements = all.filter((m) => Object.keys(m.steps).length > 0);
  const steps = stepsIn(measurements);
  let weights = measurements.map((m): number => (m.noisy ? NOISY_WEIGHT : 1));
  let profile: CostProfile = { ...head, steps: {} };
  for (let round = 0; round < ROUNDS; round++) {
    profile = { ...head, steps: solve(measurements, weights, steps, head.overhead) };
    weights = residualsOf(profile, measurements).map((r) =>
      r.noisy ? NOISY_WEIGHT * Math.min(1, NOISY_BOUND / Math.max(NOISY_BOUND, Math.abs(r.error))) : 1,
    );
  }
  return { profile, doubted: measurements.filter((_, i) => (weights[i] ?? 1) < NOISY_WEIGHT / 4) };
}

/** One weighted fit: every row is divided by what was measured, every column by its length. */
function solve(
  measurements: readonly Measurement[],
  weights: readonly number[],
  steps: readonly Step[],
  overhead: number,
): Partial<Record<Step, number>> {
  const rows = measurements.map((m, i) =>
    steps.map((s) => ((m.steps[s] ?? 0) * (weights[i] ?? 1)) / m.measured),
  );
  const lengths = steps.map((_, j) => Math.hypot(...rows.map((row) => row[j] ?? 0)) || 1);
  const scaled = rows.map((row) => row.map((x, j) => x / (lengths[j] ?? 1)));
  const wanted = measurements.map((m, i) => ((m.measured - overhead) * (weights[i] ?? 1)) / m.measured);
  for (const j of steps.keys()) {
    scaled.push(steps.map((_, k) => (k === j ? RIDGE : 0)));
    wanted.push(0);
  }
  const found = nonNegativeLeastSquares(scaled, wanted);
  return Object.fromEntries(steps.map((s, j) => [s, significant((found[j] ?? 0) / (lengths[j] ?? 1))]));
}

/** The x ≥ 0 that makes |Ax − b| least. */
export function nonNegativeLeastSquares(
  a: readonly (readonly number[])[],
  b: readonly number[],
): readonly number[] {
  const rows = a.map((row) => [...row]);
  return fcnnlsVector(rows, [...b], { gradientTolerance: 1e-12, maxIterations: 500 }).K.to1DArray();
}

/** Five digits say more than the probes know. */
const significant = (x: number): number => Number(x.toPrecision(5));

/** Steps whose column the other columns explain: no set of probes here could price them singly. */
function entangledSteps(measurements: readonly Measurement[], steps: readonly Step[]): readonly Step[] {
  const columns = steps.map((s) => unit(measurements.map((m) => (m.steps[s] ?? 0) / m.measured)));
  return steps.filter((_, j) => {
    const basis: number[][] = [];
    for (const other of columns.filter((_, k) => k !== j)) {
      const rest = without(other, basis);
      if (Math.hypot(...rest) > APART) basis.push(unit(rest));
    }
    return Math.hypot(...without(columns[j] ?? [], basis)) < APART;
  });
}

function unit(v: readonly number[]): number[] {
  const length = Math.hypot(...v) || 1;
  return v.map((x) => x / length);
}

/** What is left of v when its part along each vector of an orthonormal basis is taken away. */
function without(v: readonly number[], basis: readonly (readonly number[])[]): number[] {
  return basis.reduce<number[]>(
    (rest, b) => {
      const along = rest.reduce((sum, x, i) => sum + x * (b[i] ?? 0), 0);
      return rest.map((x, i) => x - along * (b[i] ?? 0));
    },
    [...v],
  );
}

/** Median and worst absolute error of what is not noisy; 0 of nothing. */
export function errorsOf(residuals: readonly Residual[]): {
  readonly median: number;
  readonly worst: number;
} {
  const errors = residuals.filter((r) => !r.noisy).map((r) => Math.abs(r.error));
  return { median: median(errors) ?? 0, worst: max(errors) ?? 0 };
}
