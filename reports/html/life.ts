/**
 * The life of a fault as a picture made of a list: five lanes from the guest to the VMM, a line that goes where
 * the work goes, a diamond where a decision is taken, and the patch that took it.
 */
import type { Life, LifeStep } from '../../engine/observation.ts';
import { DECISION_FUNCTIONS } from '../../engine/policy.ts';
import { html, join, type Markup } from '../escape.ts';
import { count } from '../words.ts';

/** The lanes, left to right. */
export const LANES = ['guest', 'processor', 'KVM', 'host memory', 'VMM'] as const;

const HOST = /^(hva_to_pfn|get_user|handle_mm|filemap|do_anonymous|do_cow|shmem|gup|mm\b|host)/;

/** Whose lane a step is in, by who acts; whatever is not known is KVM's. */
export function laneOf(at: string): number {
  if (/^guest\b/.test(at)) return 0;
  if (/^(hardware|processor|cpu)\b/i.test(at)) return 1;
  if (/^(userspace|vmm)\b/i.test(at)) return 4;
  return HOST.test(at) ? 3 : 2;
}

/** So many lives and so many steps of each are drawn; the JSON has the rest. */
const LIVES = 3;
const STEPS = 26;

/** The first lives of a run; one that repeats its predecessor step by step only says so. */
export function livesPicture(lives: readonly Life[]): Markup {
  if (lives.length === 0) return html`<p class="dim">No fault was recorded.</p>`;
  const shown: Markup[] = [];
  let previous = '';
  let drawn = 0;
  for (const life of lives) {
    const shape = JSON.stringify([life.instruction, life.facts, life.steps]);
    if (shape === previous) {
      shown.push(
        html`<p class="dim">The same again, at rip <code>${life.rip}</code>, gpa <code>${life.gpa}</code>.</p>`,
      );
    } else if (drawn < LIVES) {
      shown.push(oneLife(life, shown.length === 0));
      drawn++;
    }
    previous = shape;
  }
  return join(shown);
}

function oneLife(life: Life, first: boolean): Markup {
  const steps = life.steps.slice(0, STEPS);
  const more = life.steps.length - steps.length;
  return html`<h4><code>${life.instruction}</code> <small>at rip ${life.rip}: ${life.access} of gpa ${life.gpa}</small></h4>
${first && html`<p class="dim">Lanes, left to right: ${LANES.join(' · ')}. A diamond is a decision of the seam.</p>`}${life.facts !== '' && html`<p class="dim">facts: <code>${life.facts}</code></p>`}<ol class="life">${join(
    steps.map((step, i) => oneStep(step, i === 0 ? step : (steps[i - 1] ?? step))),
  )}${more > 0 && html`<li class="l2 s2 w0">… ${count(more)} more steps</li>`}</ol>`;
}

function oneStep(step: LifeStep, before: LifeStep): Markup {
  const [lane, from] = [laneOf(step.at), laneOf(before.at)];
  const turn = lane === from ? 'up' : lane > from ? 'up' : 'dn';
  const mark = step.patch !== undefined ? ' d p' : step.decision !== undefined ? ' d' : '';
  return html`<li class="l${lane} s${Math.min(lane, from)} w${Math.abs(lane - from)} ${turn}${mark}"><code>${step.at}</code> ${step.says}${
    step.instructions !== undefined && html` <small>${count(step.instructions)} insns</small>`
  }${step.decision !== undefined && decided(step)}</li>`;
}

function decided({ decision, patch }: LifeStep): Markup {
  const where = decision === undefined ? '' : DECISION_FUNCTIONS[decision];
  return patch === undefined
    ? html` <span class="by" title="${where}">decided by the base kernel</span>`
    : html` <span class="by patch" title="${where}">decided by patch ${patch}</span>`;
}
