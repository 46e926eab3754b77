/**
 * Markdown for a cover letter: 72 columns, tables set in monospace so that they survive plain-text mail, and
 * a block that can be pasted under "Testing:".
 */
import type { Comparison } from '../../scenarios/run/comparison.ts';
import type { ReportOptions } from '../options.ts';
import { markdownText } from '../print/escape.ts';
import { wrap } from '../print/table.ts';
import { comparisonDigest, count, list } from '../print/words.ts';
import { claimsSentence, summarize, verdict } from '../summary.ts';
import { brokenText, matrix, scenarioTables, triedScenarios } from './text.ts';

const WIDTH = 72;

/** The report as Markdown. */
export function renderMarkdown(c: Comparison, _options: ReportOptions = {}): string {
  const many = c.scenarios.length > 1 && c.runs.length > 0;
  const broken = brokenText(c, WIDTH - 2);
  return `${[
    '# Read-only guest memory, compared',
    '',
    ...verdict(c).flatMap((s) => [...wrap(markdownText(s), WIDTH), '']),
    ...(many ? ['## Fate of the VM', '', ...fence(matrix(c, WIDTH).slice(verdictLines(c) + 1))] : []),
    ...triedScenarios(c).flatMap((s) => [
      `## ${markdownText(s.name)}`,
      '',
      ...wrap(markdownText(s.asks), WIDTH),
      '',
      ...fence(scenarioTables(c, s, WIDTH)),
    ]),
    ...(broken.length > 0 ? ['## Broken claims', '', ...fence(broken.filter((l) => l !== ''))] : []),
    '## Testing',
    '',
    ...fence(testingBlock(c)),
  ].join('\n')}`;
}

const verdictLines = (c: Comparison): number => verdict(c).flatMap((s) => wrap(s, WIDTH, '  ')).length;

/** The paste-ready block: level of testing, configuration, counts, and how to do it again. */
export function testingBlock(c: Comparison): string[] {
  const s = summarize(c);
  const engines = [...new Set(c.runs.map((r) => r.engine))];
  const agreement = Object.entries(c.conformance ?? {}).map(([k, v]) => `${k} ${v.agree}/${v.cases}`);
  return [
    'Testing:',
    ...[
      `faultline ${c.version}, engine ${list(engines) || 'none'}, paging ${c.paging}, seed ${c.seed}`,
      `${count(c.scenarios.length)} scenarios x ${count(c.strategies.length)} strategies, ${count(s.ran)} of ${count(s.cells)} cells run${c.interrupted ? ' (interrupted)' : ''}`,
      claimsSentence(s),
      ...(c.profile === undefined ? [] : [`costs predicted with profile ${c.profile}`]),
      ...(agreement.length === 0 ? [] : [`agreement with recorded kernels: ${agreement.join(', ')}`]),
      `digest ${comparisonDigest(c)}`,
      `again: ${c.command}`,
    ].flatMap((line) => wrap(line, WIDTH - 2, '  ').map((l) => `  ${l}`)),
  ];
}

/** A fenced block; the fence is longer than any run of backticks inside. */
function fence(lines: readonly string[]): string[] {
  const longest = Math.max(2, ...(lines.join('\n').match(/`+/g) ?? []).map((run) => run.length));
  const mark = '`'.repeat(longest + 1);
  return [`${mark}text`, ...lines, mark, ''];
}
