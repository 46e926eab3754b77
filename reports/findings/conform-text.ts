/** What `conform` found, as text: totals, families, and for each case that differs both transcripts side by side. */

import type { CaseExit, CaseOutcome } from '../../scenarios/conform/case.ts';
import type { Conformance, DifferingCase, Tally } from '../../scenarios/conform/conform.ts';
import { paragraph } from '../print/paragraph.ts';
import { pad, textTable, wrap } from '../print/table.ts';

/** How much is shown. */
export interface ConformTextOptions {
  readonly width: number;
  /** Differing cases to print in full. */
  readonly show: number;
}

/** The whole report. */
export function conformText(found: Conformance, options: ConformTextOptions): string {
  const width = Math.max(60, options.width);
  const lines = [...tallyTable('kernel', Object.entries(found.kernels), width), ''];
  const families = Object.entries(found.families).flatMap(([kernel, tallies]) =>
    Object.entries(tallies)
      .filter(([, tally]) => tally.differ > 0)
      .map(([family, tally]): [string, Tally] => [`${kernel} ${family}`, tally]),
  );
  if (families.length > 0)
    lines.push('Families with differences:', ...tallyTable('family', families, width), '');
  for (const c of found.cases.slice(0, options.show)) lines.push(...caseText(c, width), '');
  const more = found.cases.length - options.show;
  if (more > 0)
    lines.push(`… and ${more} more that differ; --show ${found.cases.length} prints them all.`, '');
  for (const u of found.unsupported.slice(0, options.show))
    lines.push(
      ...wrap(`${u.id} under ${u.kernel} was not compared: ${u.says} is not supported`, width, '  '),
    );
  if (found.unsupported.length > 0) lines.push('');
  const others = Object.entries(found.unmodelled);
  if (others.length > 0) lines.push(...wrap(unmodelled(others), width), '');
  return `${[...lines, ...wrap(sentence(found), width)].join('\n')}\n`;
}

/** Kernels that were recorded and that the core cannot be: never compared, so never agreeing. */
function unmodelled(others: readonly (readonly [string, { cases: number; otherwise: number }])[]): string {
  const told = others.map(
    ([name, { cases, otherwise }]) =>
      `${name} (${cases} cases recorded, ${otherwise === 0 ? 'none' : otherwise} otherwise than on stock)`,
  );
  return `Not modelled, so not compared: ${told.join(', ')}.`;
}

function sentence(found: Conformance): string {
  const all = Object.values(found.kernels);
  const sum = (of: (t: Tally) => number): number => all.reduce((n, t) => n + of(t), 0);
  const [agree, differ, skipped] = [sum((t) => t.agree), sum((t) => t.differ), sum((t) => t.skipped)];
  const unknown = found.unsupported.length;
  const notRun = skipped - unknown;
  const left =
    (notRun > 0 ? `; ${notRun} were not recorded on their kernel` : '') +
    (unknown > 0 ? `; ${unknown} could not be compared, for Faultline does not know an instruction` : '');
  const known = found.cases.filter((c) => c.known !== undefined).length;
  const explained = known > 0 ? ` (${known} of them known and explained in the README)` : '';
  return differ === 0
    ? `All ${agree} agree with the recorded kernels${left}.`
    : `${agree} of ${agree + differ} agree with the recorded kernels, ${differ} differ${explained}${left}.`;
}

function tallyTable(head: string, rows: readonly (readonly [string, Tally])[], width: number): string[] {
  const numbers = (key: keyof Tally) => ({
    head: key,
    align: 'right' as const,
    cells: rows.map(([, t]) => String(t[key])),
  });
  return textTable(
    [
      { head, cells: rows.map(([name]) => name) },
      numbers('cases'),
      numbers('agree'),
      numbers('differ'),
      numbers('skipped'),
    ],
    width,
  );
}

/** Fields of a case that are spelled out; what follows the first difference may only follow from it. */
const FIELDS = 4;

function caseText(c: DifferingCase, width: number): string[] {
  const half = Math.floor((width - 5) / 2);
  const [expected, actual] = [transcript(c.expected), transcript(c.actual)];
  const length = Math.max(expected.length, actual.length);
  const rows = Array.from({ length }, (_, i) => [expected[i] ?? '–', actual[i] ?? '–'] as const);
  const first = rows.findIndex(([left, right]) => left !== right);
  const more = c.differences.length - FIELDS;
  return [
    ...wrap(`${c.id} under ${c.kernel}`, width, '  '),
    ...wrap(c.asm, width, '  '),
    ...(c.known === undefined ? [] : paragraph(`known: ${c.known}`, width, 2, 2)),
    `  ${pad('recorded', half)}   here`,
    ...rows.flatMap((row, i) => rowText(rows, row, i, i === first, half)),
    ...c.differences
      .slice(0, FIELDS)
      .flatMap((d) => wrap(`${d.field}: recorded ${d.expected}, here ${d.actual}`, width, '    ')),
    ...(more > 0 ? [`… and ${more} more fields`] : []),
  ];
}

type Row = readonly [left: string, right: string];

/** A row of both transcripts; a run of equal rows is said once. */
function rowText(rows: readonly Row[], row: Row, i: number, marked: boolean, half: number): string[] {
  const same = (other: Row | undefined): boolean => other?.[0] === row[0] && other[1] === row[1];
  if (same(rows[i - 1])) {
    if (same(rows[i + 1])) return [];
    let run = 1;
    while (same(rows[i - run - 1])) run++;
    return [`  … ${run} more like this`];
  }
  const [left, right] = [wrap(row[0], half, '  '), wrap(row[1], half, '  ')];
  return Array.from({ length: Math.max(left.length, right.length) }, (_, k) =>
    `${marked && k === 0 ? '→' : ' '} ${pad(left[k] ?? '', half)} │ ${right[k] ?? ''}`.trimEnd(),
  );
}

/** One line an event, in the order in which they happened; then how it ended. */
function transcript(outcome: CaseOutcome): string[] {
  return [
    ...outcome.slots.map((ret, i) => `slot ${i}: ${ret}`),
    ...outcome.exits.map(exitLine),
    `errno ${outcome.errno}${outcome.rip === undefined ? '' : `, rip ${outcome.rip}`}`,
  ];
}

function exitLine(exit: CaseExit): string {
  const { r, ...fields } = exit as CaseExit & { readonly r?: string };
  const rest = Object.entries(fields).map(([k, v]) => `${k}=${v}`);
  return [r ?? '', ...rest].filter((t) => t !== '').join(' ');
}
