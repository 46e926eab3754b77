/** The life of the first faults of a run, as text: who acts, what it does, and which patch decided. */

import type { Life, LifeStep } from '../../engine/observation.ts';
import { DECISION_TABLE } from '../../engine/policy.ts';
import type { Run, ScenarioInfo, StrategyInfo } from '../../scenarios/run/comparison.ts';
import { addressOf, foldRounds } from '../html/life-picture.ts';
import { visible } from '../print/escape.ts';
import { paragraph } from '../print/paragraph.ts';
import { pad, wrap } from '../print/table.ts';
import { count } from '../print/words.ts';

/** How it is set. */
export interface ExplainOptions {
  readonly width: number;
  /** Titles in bold. */
  readonly bold: boolean;
}

/** The whole explanation. */
export function explainText(
  run: Run,
  scenario: ScenarioInfo,
  strategy: StrategyInfo,
  options: ExplainOptions,
): string {
  const width = Math.max(50, options.width);
  const title = (text: string): string => (options.bold ? `\u001b[1m${text}\u001b[22m` : text);
  const series = strategy.series.map((p) => `${p.name} (${p.decisions.join(', ')})`);
  const lines = [
    ...wrap(`${run.scenario} under ${run.strategy}, ${run.paging} paging`, width).map(title),
    ...paragraph(`Asks: ${scenario.asks}`, width, 0, 2),
    ...wrap(`Strategy: ${strategy.cover}`, width, '  '),
    ...wrap(`Layout: ${strategy.layout}`, width, '  '),
    ...wrap(
      `Series: ${series.length > 0 ? series.join(', ') : 'none, the base kernel decides'}`,
      width,
      '  ',
    ),
    '',
    ...livesText(run, width, title),
  ];
  if (run.life === undefined) lines.push('This engine does not see what happens inside the kernel.', '');
  else if (run.life.length === 0) lines.push('No fault was taken.', '');
  return `${[...lines, ...ending(run, width)].join('\n')}\n`;
}

function ending(run: Run, width: number): string[] {
  const found = run.finding === undefined ? '' : `Finding: ${run.finding}.`;
  return [
    `Fate: ${run.fate}. ${run.detail}`,
    found,
    run.because,
    run.digest === undefined ? '' : `Digest ${run.digest}.`,
  ]
    .filter((text) => text !== '')
    .flatMap((text) => wrap(text, width, '  '));
}

/** The lives in order; one that goes as the one before it is said once. */
function livesText(run: Run, width: number, title: (text: string) => string): string[] {
  const lives = run.life ?? [];
  const unit = run.cost?.unit ?? 'instructions';
  const keys = lives.map((life) => JSON.stringify(life));
  return lives.flatMap((life, i) => {
    if (keys[i] !== keys[i - 1]) return [...lifeText(life, i + 1, width, title, unit), ''];
    if (keys[i] === keys[i + 1]) return [];
    // Numbers start at 1, and the first of the run has been told.
    const first = keys.findLastIndex((key, k) => k < i && key !== keys[i]) + 3;
    return [`${first === i + 1 ? first : `${first} to ${i + 1}`}. The same again.`, ''];
  });
}

function lifeText(
  life: Life,
  number: number,
  width: number,
  title: (text: string) => string,
  unit: string,
): string[] {
  const instruction = life.instruction === '' ? '' : `: ${life.instruction}`;
  const head = `${number}. ${life.access} of ${addressOf(life)}, rip 0x${life.rip}${instruction}`;
  const label = Math.min(32, Math.max(...life.steps.map((s) => s.at.length), 0));
  return [
    ...wrap(head, width, '   ').map(title),
    ...(life.facts === '' ? [] : paragraph(`facts: ${life.facts}`, width, 3, 7)),
    ...foldRounds(life.steps).flatMap(({ steps, times }) => [
      ...steps.flatMap((step) => stepText(step, label, width, unit)),
      ...(times > 1 ? [`   … the same ${times === 2 ? 'once' : `${times - 1} times`} more`] : []),
    ]),
    ...(life.untold === undefined
      ? []
      : wrap(untold(life, life.untold), width, '     ').map((t) => `   ${t}`)),
  ];
}

/** What is not told: how much, and how many faults it was in all. */
function untold(life: Life, steps: number): string {
  const faults = Object.entries(life.faults).map(([kind, times]) => `${count(times)} × ${kind}`);
  return `… and ${count(steps)} more steps; faults in all: ${faults.join(', ')}`;
}

function stepText(step: LifeStep, label: number, width: number, unit: string): string[] {
  const indent = label + 5;
  const price = step.instructions === undefined ? '' : ` [${Math.round(step.instructions)} ${unit}]`;
  const text = wrap(`${step.says}${price}${decider(step)}`, width - indent);
  return [
    ...(step.facts === undefined ? [] : paragraph(`facts now: ${step.facts || 'none'}`, width, 3, 7)),
    ...text.map((line, i) => `   ${pad(i === 0 ? visible(step.at) : '', label)}  ${line}`),
  ];
}

/** Who decided, and in which function where the step is told of another. */
function decider(step: LifeStep): string {
  if (step.decision === undefined) return '';
  const where = DECISION_TABLE[step.decision].at;
  const by = step.patch === undefined ? 'the base' : `patch ${step.patch}`;
  return ` ← decided by ${by}${where === step.at ? '' : ` in ${where}`}`;
}
