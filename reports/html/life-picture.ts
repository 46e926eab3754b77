/**
 * The life of a fault as a picture made of a list: five lanes from the guest to the VMM, a line that goes where
 * the work goes, a diamond where a decision is taken, and the patch that took it.
 */
import type { Life, LifeStep } from '../../engine/observation.ts';
import { DECISION_TABLE } from '../../engine/policy.ts';
import { LANES, PLACES, type Place } from '../../engine/steps.ts';
import { html, join, type Markup } from '../print/escape.ts';
import { count } from '../print/words.ts';

/** Whose lane a step is in, by who acts; KVM's for a place that this version does not know. */
export const laneOf = (at: string): number =>
  LANES.indexOf(Object.hasOwn(PLACES, at) ? PLACES[at as Place] : 'KVM');

/** So many lives and so many steps of each are drawn; the JSON has the rest. */
const LIVES = 3;
const STEPS = 26;

const shapeOf = (life: Life | undefined): string =>
  JSON.stringify([life?.instruction, life?.facts, life?.steps]);

/** The first lives of a run; those that repeat their predecessor step by step are only counted. */
export function livesPicture(lives: readonly Life[]): Markup {
  if (lives.length === 0) return html`<p class="dim">No fault was recorded.</p>`;
  const shown: Markup[] = [];
  let drawn = 0;
  for (let i = 0; i < lives.length; ) {
    const shape = shapeOf(lives[i]);
    const same = lives.slice(i + 1).findIndex((other) => shapeOf(other) !== shape);
    const times = same < 0 ? lives.length - i : same + 1;
    const life = lives[i];
    if (life !== undefined && drawn < LIVES) {
      shown.push(oneLife(life, drawn === 0));
      drawn++;
      if (times > 1)
        shown.push(
          html`<p class="dim">The same ${count(times - 1)} more ${times > 2 ? 'times' : 'time'}.</p>`,
        );
    }
    i += times;
  }
  return join(shown);
}

/** Where a life is: guest-physical, or linear where no walk of the guest's tables led anywhere. */
export const addressOf = (life: Life): string =>
  life.gpa === '' && life.linear !== undefined ? `linear address 0x${life.linear}` : `gpa 0x${life.gpa}`;

/** Steps that are drawn once, and how often they come in a row. */
export interface Round {
  readonly steps: readonly LifeStep[];
  readonly times: number;
}

/** The longest round that is looked for. */
const ROUND = 16;

/** Folds rounds: a store that faults two hundred times in the same way is drawn once. */
export function foldRounds(steps: readonly LifeStep[]): Round[] {
  const shapes = steps.map((s) => JSON.stringify(s));
  const repeats = (at: number, length: number): number => {
    let times = 1;
    while (shapes.slice(at, at + length).every((s, k) => s === shapes[at + times * length + k])) times++;
    return times;
  };
  const rounds: Round[] = [];
  for (let at = 0; at < steps.length; ) {
    let best = { length: 1, times: 1 };
    for (let length = 1; length <= ROUND && at + 2 * length <= steps.length; length++) {
      const times = repeats(at, length);
      if (times > 1 && length * times > best.length * best.times) best = { length, times };
    }
    rounds.push({ steps: steps.slice(at, at + best.length), times: best.times });
    at += best.length * best.times;
  }
  return rounds;
}

function oneLife(life: Life, first: boolean): Markup {
  // What the guest did starts the picture, whether or not the engine counts it as a step.
  const start: LifeStep = { at: 'guest', says: `${life.access} of ${addressOf(life)}` };
  const told = laneOf(life.steps[0]?.at ?? '') === 0;
  const rows: Markup[] = told ? [] : [oneStep(start, start)];
  let before: LifeStep | undefined = told ? undefined : start;
  let more = life.untold ?? 0;
  for (const { steps, times } of foldRounds(life.steps)) {
    if (rows.length + steps.length > STEPS) {
      more += steps.length * times;
      continue;
    }
    for (const step of steps) {
      rows.push(oneStep(step, before ?? step));
      before = step;
    }
    if (times > 1) rows.push(again(steps.length, times - 1, laneOf(before?.at ?? '')));
  }
  const access = html`${life.access} of ${addressOf(life)}`;
  const title =
    life.instruction === ''
      ? html`${access} <small>at rip ${life.rip}</small>`
      : html`<code>${life.instruction}</code> <small>at rip ${life.rip}: ${access}</small>`;
  return html`<h4>${title}</h4>
${first && html`<p class="dim">Lanes, left to right: ${LANES.join(' · ')}. A diamond is a decision of the seam.</p>`}${life.facts !== '' && html`<p class="dim">facts: <code>${life.facts}</code></p>`}<ol class="life">${join(rows)}${more > 0 && html`<li class="l2 s2 w0 m">… ${count(more)} more steps</li>`}</ol>`;
}

function again(steps: number, times: number, lane: number): Markup {
  const what = steps === 1 ? 'this step' : `these ${steps} steps`;
  return html`<li class="l${lane} s${lane} w0 up m"><b>↻ ${what} ${times === 1 ? 'once' : `${count(times)} times`} more</b></li>`;
}

function oneStep(step: LifeStep, before: LifeStep): Markup {
  const [lane, from] = [laneOf(step.at), laneOf(before.at)];
  const turn = lane < from ? 'dn' : 'up';
  const mark = step.patch !== undefined ? ' d p' : step.decision !== undefined ? ' d' : '';
  return html`<li class="l${lane} s${Math.min(lane, from)} w${Math.abs(lane - from)} ${turn}${mark}"><code>${step.at}</code> ${step.says}${
    step.instructions !== undefined && html` <small>${count(Math.round(step.instructions))} insns</small>`
  }${step.facts !== undefined && html` <small>facts now: <code>${step.facts || 'none'}</code></small>`}${step.decision !== undefined && decided(step)}</li>`;
}

function decided({ decision, patch }: LifeStep): Markup {
  const where = decision === undefined ? '' : DECISION_TABLE[decision].at;
  return patch === undefined
    ? html` <span class="by" title="${where}">decided by the base kernel</span>`
    : html` <span class="by patch" title="${where}">decided by patch ${patch}</span>`;
}
