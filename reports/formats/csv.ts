/**
 * Long-form CSV: one fact a row, for a spreadsheet's pivot table or a data frame. Text that a spreadsheet
 * would run as a formula is quoted.
 */
import { stringify } from 'csv-stringify/sync';
import type { Comparison, Run } from '../../scenarios/run/comparison.ts';
import { visible } from '../print/escape.ts';
import { claimWord, crashed, hasOperations, medianInterval, totalFaults } from '../print/words.ts';

/** The columns, in order. `value` is in the unit that `unit` names. */
export const CSV_COLUMNS = ['scenario', 'strategy', 'paging', 'engine', 'fact', 'unit', 'value'] as const;

type Fact = readonly [fact: string, unit: string, value: string | number];

/** A fact, or no row where the engine could not observe it. */
const seen = (fact: string, unit: string, value: string | number | undefined): Fact[] =>
  value === undefined ? [] : [[fact, unit, value]];

/** One row a fact of every run. */
export function renderCsv(c: Comparison): string {
  const rows = c.runs.flatMap((r) =>
    facts(r).map(([fact, unit, value]) => [r.scenario, r.strategy, r.paging, r.engine, fact, unit, value]),
  );
  return stringify(rows, {
    header: true,
    columns: [...CSV_COLUMNS],
    record_delimiter: 'unix',
    escape_formulas: true,
    // Text of others' files: no control characters, and nothing that a log would take for a command.
    cast: { number: (n) => (Number.isFinite(n) ? String(n) : ''), string: visible },
  });
}

function facts(r: Run): Fact[] {
  const each = (prefix: string, unit: string, of: Readonly<Record<string, number>> | undefined): Fact[] =>
    Object.entries(of ?? {}).map(([k, n]) => [`${prefix}.${k}`, unit, n]);
  return [
    ['fate', 'word', r.fate],
    ['crashes', 'crashes', crashed(r) ? 1 : 0],
    ['rom_intact', 'yes/no', r.romIntact ? 'yes' : 'no'],
    ['operations', 'operations', r.operations],
    ...each('exits', 'exits', r.exits),
    ...seen('faults', 'faults', totalFaults(r)),
    ...each('faults', 'faults', r.faults),
    ['slot_ops', 'ioctls', r.slotOps],
    ...each('decisions', 'decisions', r.decisions),
    ...each('steps', 'steps', r.steps),
    ...(hasOperations(r) ? seen('steps_per_op', 'steps/operation', r.stepsPerOperation) : []),
    ...costFacts(r),
    ...(r.measured === undefined
      ? []
      : [
          ['measured.total', 'kernel instructions', r.measured.total] satisfies Fact,
          ['measured.median', 'kernel instructions/KVM_RUN', r.measured.median] satisfies Fact,
          ['measured.runs', 'KVM_RUN', r.measured.runs] satisfies Fact,
        ]),
    ...timingFacts(r),
    ...r.predictions.flatMap((p): Fact[] => [
      [`predicted.${p.quantity}`, 'count', p.predicted],
      [`measured.${p.quantity}`, 'count', p.measured],
      [`formula.${p.quantity}`, 'formula', p.formula],
    ]),
    ...r.claims.map((x): Fact => [`claim.${x.claim}`, 'holds/broken', claimWord(x.holds)]),
    ['detail', 'text', r.detail],
    ...(r.finding === undefined ? [] : [['finding', 'text', r.finding] as const]),
    ['because', 'text', r.because],
    ...seen('digest', 'hex', r.digest),
  ];
}

function costFacts(r: Run): Fact[] {
  if (!r.cost) return [];
  return [
    ['cost.profile', 'text', r.cost.profile],
    ['cost.total', 'kernel instructions', r.cost.total],
    // What a VM cost that died before its first operation is no price of an operation.
    ...(hasOperations(r)
      ? [['cost.per_op', 'kernel instructions/operation', r.cost.perOperation] satisfies Fact]
      : []),
    ...Object.entries(r.cost.byStep).map(([k, n]): Fact => [`cost.${k}`, 'kernel instructions', n]),
  ];
}

function timingFacts(r: Run): Fact[] {
  if (!r.timing) return [];
  const { low, high } = medianInterval(r.timing);
  return [
    ['timing.median', 'ns/operation', r.timing.nsPerOp],
    ['timing.mad', 'ns/operation', r.timing.mad],
    ['timing.median_low95', 'ns/operation', low],
    ['timing.median_high95', 'ns/operation', high],
    ['timing.samples', 'samples', r.timing.samples],
    ...r.timing.raw.map((n, i): Fact => [`timing.sample.${i + 1}`, 'ns/operation', n]),
  ];
}
