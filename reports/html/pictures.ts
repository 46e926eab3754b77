/** The sections that hold charts: predicted cost, exits by reason, times of this machine. */
import { EXIT_KINDS } from '../../engine/exits.ts';
import { type Chart, COST_PARTS, costCharts, exitCharts, PALETTE, timingCharts } from '../print/charts.ts';
import { html, join, type Markup } from '../print/escape.ts';
import { drawCharts } from '../print/svg.ts';
import { list, stepGroup, unpricedSteps } from '../print/words.ts';
import { filterText, type Page } from './parts.ts';

interface Section {
  readonly id: string;
  readonly title: string;
  readonly note: string;
  readonly charts: readonly Chart[];
  /** Names of the colours, in the palette's order; none when colour says nothing. */
  readonly key: readonly string[];
}

/** All chart sections; one that has nothing to draw is left out. */
export async function pictureSections(page: Page): Promise<Markup> {
  const { c } = page;
  const steps = [...new Set(c.runs.flatMap((r) => Object.keys(r.cost?.byStep ?? {})))];
  const without = unpricedSteps(c.runs);
  const left = without.length === 0 ? '' : ` The profile has no price for ${list(without)}: left out.`;
  const sections: Section[] = [
    {
      id: 'cost',
      title: 'Predicted kernel instructions',
      note: `Every step of the path priced in instructions of a real kernel (profile ${c.profile ?? 'unnamed'}), per operation. A VM that did not get through has no bar, for what dying costs is no price of an operation.${left}`,
      charts: costCharts(c),
      key: COST_PARTS.filter((part) => steps.some((step) => stepGroup(step) === part)),
    },
    {
      id: 'exits',
      title: 'Exits to userspace by reason',
      note: 'Each is a round trip to the VMM. Counts are exact.',
      charts: exitCharts(c),
      key: EXIT_KINDS.filter((k) => c.runs.some((r) => r.exits[k] > 0)),
    },
    {
      id: 'timing',
      title: 'Times on this machine',
      note: 'Ticks are batches of the benchmark (evenly by rank), the line is the interval that holds the median in 95 of 100 cases, the dot is the median. These are nanoseconds of the emulated core on the machine that ran it, and of no kernel.',
      charts: timingCharts(c),
      key: [],
    },
  ];
  const drawn: Markup[] = [];
  for (const s of sections) if (s.charts.length > 0) drawn.push(await section(page, s));
  return join(drawn, '\n');
}

async function section({ c }: Page, s: Section): Promise<Markup> {
  const pictures = await drawCharts(s.charts, s.id);
  const order: readonly string[] = s.id === 'exits' ? EXIT_KINDS : COST_PARTS;
  const names = c.strategies.map((t) => t.name);
  return html`<section id="${s.id}"><h2>${s.title}</h2><p>${s.note}</p>${
    s.key.length > 0 &&
    html`<ul class="key">${join(
      s.key.map(
        (name) =>
          html`<li><svg viewBox="0 0 8 8" aria-hidden="true"><rect width="8" height="8" fill="${PALETTE[order.indexOf(name) % PALETTE.length] ?? PALETTE[0]}" stroke="currentColor" stroke-width=".5"/></svg>${name}</li>`,
      ),
    )}</ul>`
  }
<div class="charts">${join(
    s.charts.map(
      (chart, i) =>
        html`<figure data-f="${filterText(chart.scenario, ...names)}"><figcaption>${chart.scenario}</figcaption>${pictures[i]}</figure>`,
    ),
    '\n',
  )}</div></section>`;
}
