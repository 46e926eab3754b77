/** A gate's result for terminals, pull requests and CI servers. */
import { escapeMarkup, visible } from '../print/escape.ts';
import { gateExit } from './judge.ts';
import type { GateResult, GateRow } from './model.ts';

/** What differs, or could not be judged: all that is worth a line. */
const notable = (r: GateResult): readonly GateRow[] => r.rows.filter((x) => x.verdict !== 'unchanged');

const TIERS = ['fates and claims', 'counters', 'instructions', 'wall clock'];

/** The verdict in one line. */
function headline(r: GateResult): string {
  const count = (v: GateRow['verdict']): number => r.rows.filter((x) => x.verdict === v).length;
  const parts = (['regression', 'improvement', 'inconclusive', 'insufficient', 'invalid'] as const)
    .filter((v) => count(v) > 0)
    .map((v) => `${count(v)} ${v}`);
  const word = ['passed', 'failed', 'refused'][gateExit(r)] ?? 'refused';
  const rest = parts.length > 0 ? `: ${parts.join(', ')}` : '';
  return `gate ${word}${rest}; compared ${r.compared} of ${r.expected}`;
}

/** For a terminal. */
export function gateText(r: GateResult): string {
  const lines = notable(r).map(
    (x) =>
      `tier ${x.tier} ${x.verdict}: ${x.cell}: ${x.metric}: ${x.before} -> ${x.after}${x.says && ` (${x.says})`}`,
  );
  const tiers = TIERS.flatMap((name, tier) => {
    const rows = r.rows.filter((x) => x.tier === tier);
    const same = rows.filter((x) => x.verdict === 'unchanged').length;
    return rows.length === 0 ? [] : [`tier ${tier}, ${name}: ${same} of ${rows.length} unchanged`];
  });
  return `${[...lines, ...tiers, ...r.power, headline(r)].map(visible).join('\n')}\n`;
}

/** Markdown, for a step summary or a comment. */
export function gateMarkdown(r: GateResult): string {
  const cell = (s: string): string => visible(s).replace(/[\\`*_[\]<>|#]/g, '\\$&');
  const rows = notable(r).map(
    (x) =>
      `| ${[x.verdict, String(x.tier), x.cell, x.metric, x.before, x.after, x.says].map(cell).join(' | ')} |`,
  );
  const table =
    rows.length === 0
      ? []
      : [
          '| verdict | tier | cell | metric | before | after | |',
          '|---|---|---|---|---|---|---|',
          ...rows,
          '',
        ];
  return `${[`**${cell(headline(r))}**`, '', ...table, ...r.power.map((p) => `- ${cell(p)}`)].join('\n')}\n`;
}

/** GitHub workflow commands: an error for what fails the gate, a warning for what is open. */
export function gateAnnotations(r: GateResult): string {
  const data = (s: string): string => visible(s).replaceAll('%', '%25');
  const property = (s: string): string => data(s).replaceAll(':', '%3A').replaceAll(',', '%2C');
  const levels = {
    regression: 'error',
    invalid: 'error',
    insufficient: 'error',
    inconclusive: 'warning',
  } as const;
  return r.rows
    .flatMap((x) => {
      const level = x.verdict in levels ? levels[x.verdict as keyof typeof levels] : undefined;
      if (level === undefined) return [];
      const title = property(`${x.verdict}: ${x.cell}`);
      return [`::${level} title=${title}::${data(`${x.metric}: ${x.before} -> ${x.after} ${x.says}`)}\n`];
    })
    .join('');
}

/** JUnit XML: a test case a metric, in suites by tier. */
export function gateJunit(r: GateResult): string {
  const suites = TIERS.flatMap((name, tier) => {
    const rows = r.rows.filter((x) => x.tier === tier);
    if (rows.length === 0) return [];
    const failures = rows.filter((x) => x.verdict === 'regression').length;
    const errors = rows.filter((x) => x.verdict === 'invalid' || x.verdict === 'insufficient').length;
    const head = `  <testsuite name="${name}" tests="${rows.length}" failures="${failures}" errors="${errors}">`;
    return [`${head}\n${rows.map(testcase).join('')}  </testsuite>\n`];
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="faultline gate">\n${suites.join('')}</testsuites>\n`;
}

function testcase(x: GateRow): string {
  const name = `name="${escapeMarkup(x.metric)}" classname="${escapeMarkup(x.cell)}"`;
  const message = `message="${escapeMarkup(`${x.before} -> ${x.after} ${x.says}`)}"`;
  if (x.verdict === 'regression') {
    return `    <testcase ${name}>\n      <failure type="PerformanceRegression" ${message}/>\n    </testcase>\n`;
  }
  if (x.verdict === 'invalid' || x.verdict === 'insufficient') {
    return `    <testcase ${name}>\n      <error type="${x.verdict}" ${message}/>\n    </testcase>\n`;
  }
  return `    <testcase ${name}/>\n`;
}
