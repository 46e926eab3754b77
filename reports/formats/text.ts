/**
 * The table of `compare` for a terminal: a fate matrix when there are several scenarios, then for each
 * scenario one row a strategy, one sentence a strategy, broken claims, and the line that makes it again.
 */
import picocolors from 'picocolors';
import stringWidth from 'string-width';
import { EXIT_KINDS, EXITS } from '../../engine/exits.ts';
import { FAULT_KINDS } from '../../engine/observation.ts';
import {
  type Comparison,
  type Fate,
  findRun,
  type Run,
  type ScenarioInfo,
} from '../../scenarios/run/comparison.ts';
import { claimsText } from '../findings/claims-text.ts';
import { costHead, costSentence } from '../findings/costs-text.ts';
import type { ReportOptions } from '../options.ts';
import { visible } from '../print/escape.ts';
import { type Column, clip, pad, textTable, wrap } from '../print/table.ts';
import {
  comparisonDigest,
  count,
  crashed,
  FATE_WORDS,
  FAULT_HEADS,
  hasOperations,
  list,
  medianInterval,
  notObserved,
  perOperation,
  stepsPerOperation,
  unpricedSteps,
  withArticle,
} from '../print/words.ts';
import { claimsSentence, summarize, verdict } from '../summary.ts';

/** How the terminal is painted: the identity of each function when colour is off. */
interface Paint {
  readonly bold: (s: string) => string;
  readonly dim: (s: string) => string;
  readonly fate: (fate: Fate) => (s: string) => string;
}

function paints(color: boolean): Paint {
  const pc = picocolors.createColors(color);
  const bad: Readonly<Record<Fate, (s: string) => string>> = {
    ok: pc.cyan,
    efault: pc.red,
    'internal-error': pc.red,
    shutdown: pc.red,
    livelock: pc.magenta,
    'gave-up': pc.yellow,
    unsupported: pc.yellow,
    'timed-out': pc.yellow,
    'out-of-memory': pc.yellow,
    'kernel-panic': pc.red,
    hung: pc.red,
    refused: pc.yellow,
    corrupt: pc.yellow,
  };
  return { bold: pc.bold, dim: pc.dim, fate: (fate) => bad[fate] };
}

/** The whole report for a terminal. */
export function renderText(c: Comparison, options: ReportOptions = {}): string {
  const width = Math.max(40, options.width ?? 80);
  const paint = paints(options.color ?? false);
  if (c.runs.length === 0) return `${['Nothing was run.', '', ...closing(c, width, paint)].join('\n')}\n`;
  const lines: string[] = [];
  if (c.scenarios.length > 1) lines.push(...matrix(c, width, paint), '');
  for (const scenario of triedScenarios(c)) lines.push(...scenarioText(c, scenario, width, paint), '');
  lines.push(...brokenText(c, width, paint));
  if (options.thread) lines.push(claimsText(options.thread, { width }), '');
  lines.push(...closing(c, width, paint));
  return `${lines.join('\n')}\n`;
}

/** The scenarios that have at least one run: after Ctrl-C, perhaps not all. */
export const triedScenarios = (c: Comparison): readonly ScenarioInfo[] => {
  const tried = new Set(c.runs.map((r) => r.scenario));
  return c.scenarios.filter((s) => tried.has(s.name));
};

/** Strategies by scenario, a code in each cell; strategies get letters where their names do not fit. */
export function matrix(c: Comparison, width: number, paint: Paint = paints(false)): string[] {
  const names = c.strategies.map((s) => s.name);
  const label = Math.max(...c.scenarios.map((s) => s.name.length), 8);
  const spelled = label + names.reduce((n, s) => n + Math.max(s.length, 14) + 2, 0) <= width;
  const columns = c.strategies.map((strategy, i): Column => {
    const runs = c.scenarios.map((s) => findRun(c, s.name, strategy.name));
    return {
      head: spelled ? strategy.name : letter(i),
      // One group, so that there is one space between columns, not two.
      ...(spelled ? {} : { group: '' }),
      cells: runs.map((r) => (r === undefined ? '·' : spelled ? fateCell(r.fate) : FATE_WORDS[r.fate].code)),
      paint: (cell, row) => paintRun(paint, runs[row], cell),
    };
  });
  const key = names.map((name, i) => `${letter(i)} ${name}`);
  const used = new Set(c.runs.map((r) => r.fate));
  const fates = (Object.keys(FATE_WORDS) as Fate[]).filter((f) => used.has(f));
  const legend = fates.map((f) => `${FATE_WORDS[f].code} ${FATE_WORDS[f].says}`).join(' · ');
  return [
    ...verdict(c).flatMap((s) => wrap(s, width, '  ')),
    '',
    ...textTable([{ head: 'scenario', cells: c.scenarios.map((s) => s.name) }, ...columns], width, paint.dim),
    '',
    ...(spelled ? [] : inColumns(key, width)),
    ...wrap(legend, width, '  ').map(paint.dim),
  ];
}

const letter = (i: number): string => {
  const one = String.fromCharCode(65 + (i % 26));
  return i < 26 ? one : one + String(Math.floor(i / 26));
};

const fateCell = (fate: Fate): string => `${FATE_WORDS[fate].icon} ${FATE_WORDS[fate].word}`;

const paintRun = (paint: Paint, run: Run | undefined, cell: string): string =>
  run === undefined ? paint.dim(cell) : paint.fate(run.fate)(cell);

function inColumns(names: readonly string[], width: number): string[] {
  const words = names.map((w) => clip(visible(w), width));
  const cell = Math.max(...words.map((w) => stringWidth(w))) + 2;
  const across = Math.max(1, Math.floor((width + 2) / cell));
  const down = Math.ceil(words.length / across);
  return Array.from({ length: down }, (_, row) =>
    Array.from({ length: across }, (_, col) => pad(words[col * down + row] ?? '', cell))
      .join('')
      .trimEnd(),
  );
}

/** One scenario: its question, the table, a sentence a strategy. */
function scenarioText(c: Comparison, scenario: ScenarioInfo, width: number, paint: Paint): string[] {
  const runs = c.runs.filter((r) => r.scenario === scenario.name);
  const params = Object.entries(scenario.params).map(([k, v]) => `${k}=${v}`);
  const [title = '', ...more] = wrap(`${scenario.name}: ${scenario.asks}`, width, '  ');
  return [
    paint.bold(title),
    ...more.map(paint.bold),
    ...wrap(
      `One operation: ${withArticle(scenario.operation)}${params.length > 0 ? ` (${params.join(', ')})` : ''}.`,
      width,
    ).map(paint.dim),
    '',
    ...textTable(runColumns(runs, paint), width, paint.dim),
    ...notes(c, runs, width, paint),
    '',
    ...sentences(runs, width),
    ...wrap(costSentence(c, scenario) ?? '', width, '    ').filter(Boolean),
  ];
}

/** A scenario's table and sentences without colour, for a mail. */
export function scenarioTables(c: Comparison, scenario: ScenarioInfo, width: number): string[] {
  const paint = paints(false);
  const runs = c.runs.filter((r) => r.scenario === scenario.name);
  return [
    ...textTable(runColumns(runs, paint), width),
    ...notes(c, runs, width, paint),
    '',
    ...sentences(runs, width),
    ...wrap(costSentence(c, scenario) ?? '', width, '    ').filter(Boolean),
  ];
}

/** The columns of a scenario's table; reasons and kinds that occur nowhere are left out. */
function runColumns(runs: readonly Run[], paint: Paint): Column[] {
  const number = (head: string, group: string, of: (r: Run) => string): Column => ({
    head,
    group,
    cells: runs.map(of),
    align: 'right',
  });
  return [
    { head: 'strategy', cells: runs.map((r) => r.strategy) },
    {
      head: 'fate',
      group: 'VM',
      cells: runs.map((r) => FATE_WORDS[r.fate].word),
      paint: (cell, row) => paintRun(paint, runs[row], cell),
    },
    number('crash', 'VM', (r) => (crashed(r) ? '1' : '0')),
    ...EXIT_KINDS.filter((k) => runs.some((r) => r.exits[k] > 0)).map((k) =>
      number(EXITS[k].head, 'exits', (r) => String(r.exits[k])),
    ),
    ...FAULT_KINDS.filter((k) => runs.some((r) => (r.faults?.[k] ?? 0) > 0)).map((k) =>
      number(FAULT_HEADS[k], 'faults', (r) => (r.faults === undefined ? '–' : String(r.faults[k]))),
    ),
    { head: 'ROM', cells: runs.map((r) => (r.romIntact ? 'kept' : 'LOST')) },
    number('steps', 'per op', (r) => stepsPerOperation(r)),
    ...(runs.some((r) => r.cost)
      ? [
          number(costHead(runs), 'per op', (r) =>
            r.cost && hasOperations(r) ? perOperation(r.cost.perOperation) : '–',
          ),
        ]
      : []),
    ...(runs.some((r) => r.measured)
      ? [number('insns seen', 'KVM_RUN', (r) => (r.measured ? count(r.measured.median) : '–'))]
      : []),
    ...(runs.some((r) => r.timing) ? timingColumns(number) : []),
  ];
}

function timingColumns(number: (head: string, group: string, of: (r: Run) => string) => Column): Column[] {
  return [
    number('ns here', 'per op', (r) => (r.timing ? perOperation(r.timing.nsPerOp) : '–')),
    number('95\u00a0%', 'per op', (r) => {
      if (!r.timing) return '–';
      const { low, high } = medianInterval(r.timing);
      return `${perOperation(low)}–${perOperation(high)}`;
    }),
  ];
}

/** What the measured column is. */
const MEASURED_NOTE =
  'insns seen: instructions of the real kernel from entering KVM_RUN to leaving it, the median of all; the agent and the guest itself are in them.';

/** What a reader must know about the cost columns before quoting them. */
function notes(c: Comparison, runs: readonly Run[], width: number, paint: Paint): string[] {
  const said: string[] = [];
  if (runs.some((r) => r.cost)) {
    const without = unpricedSteps(runs);
    const but = without.length === 0 ? '' : `, without ${list(without)}, for which it has no price`;
    said.push(`${costHead(runs)}: predicted, profile ${c.profile ?? 'unnamed'}${but}.`);
  }
  if (runs.some((r) => r.measured)) said.push(MEASURED_NOTE);
  if (runs.some((r) => r.timing)) said.push('ns here: this machine running the emulated core; of no other.');
  const dashes = notObserved(runs);
  if (dashes !== undefined) said.push(dashes);
  return said.length === 0 ? [] : wrap(said.join(' '), width).map(paint.dim);
}

/** One line a strategy: what came of it, and why; strategies with the same line share it. */
function sentences(runs: readonly Run[], width: number): string[] {
  const by = new Map<string, string[]>();
  for (const r of runs) {
    const says = [...ending(r), r.because].join(' ');
    by.set(says, [...(by.get(says) ?? []), r.strategy]);
  }
  return [...by].flatMap(([says, names]) => wrap(`${names.join(', ')}: ${says}`, width, '    '));
}

/** What the guest found out, and where a VM that did not get through ended: what the table has no column for. */
function ending(r: Run): string[] {
  // The reason of a refusal says what was refused.
  const ended = r.fate === 'ok' || r.fate === 'refused' ? [] : [r.detail];
  return [...(r.finding === undefined ? [] : [r.finding]), ...ended]
    .map((s) => s.charAt(0).toUpperCase() + s.slice(1))
    .map((s) => (s.endsWith('.') ? s : `${s}.`));
}

/** Claims that do not hold, with what was seen. */
export function brokenText(c: Comparison, width: number, paint: Paint = paints(false)): string[] {
  const lines = c.runs.flatMap((run) =>
    run.claims
      .filter((x) => x.holds === false)
      .flatMap((x) =>
        wrap(
          `BROKEN ${run.scenario} / ${run.strategy}: ${x.claim}; seen: ${x.seen ?? 'something else'} (${x.source})`,
          width,
          '    ',
        ),
      ),
  );
  return lines.length === 0 ? [] : [...lines.map((l) => paint.fate('efault')(l)), ''];
}

/** Claims, digest, seed and the command: what a reader needs to check the rest. */
function closing(c: Comparison, width: number, paint: Paint): string[] {
  const summary = summarize(c);
  const partly = c.interrupted ? ` Interrupted: ${count(summary.ran)} of ${count(summary.cells)} cells.` : '';
  const one = c.runs.length === 1 ? c.runs[0]?.digest : undefined;
  return [
    ...(c.leftOut ?? []).flatMap((text) => wrap(`Left out: ${text}.`, width, '    ')),
    ...(c.kernels ?? [])
      .flatMap((k) => wrap(`Kernel ${k.name}: ${k.version}.`, width, '    '))
      .map(paint.dim),
    ...wrap(claimsSentence(summary) + partly, width),
    ...wrap(
      `digest ${one ?? comparisonDigest(c)} · seed ${c.seed} · paging ${c.paging} · faultline ${c.version}`,
      width,
    ).map(paint.dim),
  ];
}
