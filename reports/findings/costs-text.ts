/**
 * Costs as text and JSON: measured against predicted, a profile's prices, and where the difference between two
 * runs arises.
 */
import type { CostProfile } from '../../engine/cost.ts';
import type { Calibration, Residual } from '../../scenarios/costs/calibrate.ts';
import type { PredictedProbe } from '../../scenarios/costs/costs-file.ts';
import type { Comparison, Run, ScenarioInfo } from '../../scenarios/run/comparison.ts';
import { textTable, wrap } from '../print/table.ts';
import { count, hasOperations, perOperation, withArticle } from '../print/words.ts';

/** Measured against predicted, as `compare costs` prints it. */
export interface CostReport {
  readonly profile: CostProfile;
  readonly residuals: readonly Residual[];
  /** Probes without a measurement. */
  readonly unmeasured: readonly PredictedProbe[];
  /** Measured probes that the core does not get through. */
  readonly failed: readonly { readonly kernel: string; readonly id: string }[];
  /** Median and worst absolute error of what is not noisy. */
  readonly median: number;
  readonly worst: number;
}

/** As JSON: `probes` with what was measured, worst first; `unmeasured` with predictions alone. */
export function costsJson(report: CostReport): string {
  const { profile, unmeasured, failed, median, worst } = report;
  const probes = worstFirst(report.residuals).map(({ kernel, id, measured, predicted, noisy }) => ({
    kernel,
    id,
    measured,
    predicted: rounded(predicted),
    ...(noisy ? { noisy } : {}),
  }));
  const alone = unmeasured.map((p) => ({ ...p, predicted: rounded(p.predicted) }));
  const whole = {
    profile: profile.name,
    unit: profile.unit,
    median,
    worst,
    probes,
    unmeasured: alone,
    failed,
  };
  return `${JSON.stringify(whole, null, 2)}\n`;
}

/** As text, worst first, noisy ones at the end. */
export function costsText(report: CostReport, width: number): string {
  const { profile, unmeasured, failed } = report;
  const lines = [
    ...wrap(
      `Profile ${profile.name} (${profile.kernel}), in ${profile.unit}. Error: median ${percent(report.median)}, worst ${percent(report.worst)}, noisy probes apart.`,
      width,
    ),
    '',
    ...residualTable(report.residuals, width),
  ];
  if (unmeasured.length > 0) {
    lines.push('', 'Not measured here, predicted all the same:', '');
    const cells = (of: (p: PredictedProbe) => string): string[] => unmeasured.map(of);
    lines.push(
      ...textTable(
        [
          { head: 'kernel', cells: cells((p) => p.kernel) },
          { head: 'probe', cells: cells((p) => p.id) },
          { head: 'predicted', cells: cells((p) => count(Math.round(p.predicted))), align: 'right' },
        ],
        width,
      ),
    );
  }
  for (const { kernel, id } of failed) {
    lines.push('', ...wrap(`${kernel} ${id}: measured, but here the guest does not reach its end.`, width));
  }
  return `${lines.join('\n')}\n`;
}

/** What `compare calibrate` says: prices, residuals, leave-one-out errors, notes. */
export function calibrationText(
  calibration: Calibration,
  errors: {
    readonly fit: { readonly median: number; readonly worst: number };
    readonly leaveOneOut: { readonly median: number; readonly worst: number };
  },
  width: number,
): string {
  const { profile, residuals, leaveOneOut, notes } = calibration;
  const steps = Object.entries(profile.steps);
  const lines = [
    ...wrap(
      `Profile ${profile.name}: ${steps.length} steps from ${residuals.length} measurements, in ${profile.unit}.`,
      width,
    ),
    '',
    ...textTable(
      [
        { head: 'step', cells: steps.map(([step]) => step) },
        { head: 'price', cells: steps.map(([, price]) => perOperation(price)), align: 'right' },
      ],
      width,
    ),
    '',
    ...residualTable(residuals, width, leaveOneOut),
    '',
    ...wrap(
      `Error of the fit: median ${percent(errors.fit.median)}, worst ${percent(errors.fit.worst)}.`,
      width,
    ),
    ...wrap(
      `Leave one probe out: median ${percent(errors.leaveOneOut.median)}, worst ${percent(errors.leaveOneOut.worst)}.`,
      width,
    ),
    ...notes.flatMap((note) => wrap(`Note: ${note}.`, width, '  ')),
  ];
  return `${lines.join('\n')}\n`;
}

function residualTable(
  residuals: readonly Residual[],
  width: number,
  leaveOneOut: readonly Residual[] = [],
): string[] {
  const rows = worstFirst(residuals);
  const out = new Map(leaveOneOut.map((r) => [`${r.kernel} ${r.id}`, r]));
  const number = (head: string, of: (r: Residual) => string) =>
    ({ head, cells: rows.map(of), align: 'right' }) as const;
  return textTable(
    [
      { head: 'kernel', cells: rows.map((r) => r.kernel) },
      { head: 'probe', cells: rows.map((r) => r.id) },
      number('measured', (r) => count(r.measured)),
      number('predicted', (r) => count(Math.round(r.predicted))),
      number('error', (r) => percent(r.error)),
      ...(out.size === 0
        ? []
        : [number('left out', (r) => percent(out.get(`${r.kernel} ${r.id}`)?.error ?? Number.NaN))]),
      ...(rows.some((r) => r.noisy) ? [{ head: '', cells: rows.map((r) => (r.noisy ? 'noisy' : '')) }] : []),
    ],
    width,
  );
}

/** By absolute error, noisy ones last. */
function worstFirst(residuals: readonly Residual[]): readonly Residual[] {
  return residuals.toSorted(
    (a, b) => Number(a.noisy) - Number(b.noisy) || Math.abs(b.error) - Math.abs(a.error),
  );
}

/** What a column of predicted costs is headed: the unit of the profile. */
export function costHead(runs: readonly Run[]): string {
  const unit = runs.find((r) => r.cost !== undefined)?.cost?.unit ?? 'instructions';
  return unit === 'instructions' ? 'kernel insns' : unit;
}

/** The question of the thread in numbers: telling reasons in gup, or a flag on the slot? */
const ASKED = ['gup-nowait-reasons', 'readonly-memslot'] as const;

/**
 * How the prices of two strategies of a scenario differ: of the two that were run if there are just two, else of
 * the thread's two. Undefined where one of them was not priced.
 */
export function costSentence(c: Comparison, scenario: ScenarioInfo): string | undefined {
  const runs = c.runs.filter((r) => r.scenario === scenario.name);
  const [a, b] = runs.length === 2 ? runs : ASKED.map((name) => runs.find((r) => r.strategy === name));
  return a === undefined || b === undefined ? undefined : dearerThan(a, b, scenario);
}

/** How much dearer one operation is in run `a` than in run `b`, and by which steps; undefined without prices. */
function dearerThan(a: Run, b: Run, scenario: ScenarioInfo): string | undefined {
  if (a.cost === undefined || b.cost === undefined || !hasOperations(a) || !hasOperations(b))
    return undefined;
  const [dear, cheap] = [a.cost, b.cost];
  const noun = withArticle(scenario.operation);
  const operation = noun.charAt(0).toUpperCase() + noun.slice(1);
  // Of the rounded figures, so that a reader who subtracts them finds the same.
  const more = Math.round(dear.perOperation) - Math.round(cheap.perOperation);
  const unit = dear.unit ?? 'instructions';
  const each = [...new Set([...Object.keys(dear.byStep), ...Object.keys(cheap.byStep)])]
    .map((step) => ({
      step,
      by: (dear.byStep[step] ?? 0) / a.operations - (cheap.byStep[step] ?? 0) / b.operations,
    }))
    .filter(({ by }) => Math.abs(by) >= Math.abs(more) / 100 && Math.abs(by) >= 1)
    .sort((x, y) => Math.abs(y.by) - Math.abs(x.by))
    .map(({ step, by }) => `${step} ${by > 0 ? '+' : '−'}${count(Math.round(Math.abs(by)))}`);
  const compared = `${count(Math.round(dear.perOperation))} ${unit} against ${count(Math.round(cheap.perOperation))}`;
  if (Math.abs(more) < 1) return `${operation} costs the same with ${a.strategy} and ${b.strategy}.`;
  const word = more > 0 ? 'dearer' : 'cheaper';
  const share = percent(Math.abs(more) / cheap.perOperation, 0);
  return `${operation} is ${count(Math.round(Math.abs(more)))} ${unit} (${share}) ${word} with ${a.strategy} than with ${b.strategy}: ${compared}. By step: ${each.join(', ')}.`;
}

const rounded = (x: number): number => Math.round(x * 1000) / 1000;

const percent = (x: number, digits = 1): string =>
  Number.isFinite(x) ? `${(100 * x).toFixed(digits).replace('-', '−')}\u00a0%` : '?';
